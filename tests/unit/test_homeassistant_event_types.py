"""Patterns stand for known names, since Home Assistant takes exact ones only."""

from __future__ import annotations

from ingestor.homeassistant.event_types import KNOWN, OPEN_TO_ALL, asks_for_all, expand
from ingestor.settings import DEFAULT_EVENT_TYPES


def test_patterns_of_the_default_settings_all_stand_for_something() -> None:
    expansion = expand(DEFAULT_EVENT_TYPES)

    assert expansion.unmatched == ()
    assert {"entity_registry_updated", "floor_registry_updated", "user_added", "mobile_app_notification_action"} <= set(
        expansion.names
    )
    assert not any("*" in name for name in expansion.names)


def test_a_name_that_two_patterns_stand_for_is_subscribed_to_once() -> None:
    expansion = expand(["*_registry_updated", "repairs_issue_registry_updated", "repairs_*"])

    assert expansion.names.count("repairs_issue_registry_updated") == 1


def test_an_exact_name_is_taken_known_or_not() -> None:
    assert expand(["my_own_event"]).names == ("my_own_event",)


def test_a_pattern_that_stands_for_nothing_known_is_named() -> None:
    expansion = expand(["doorbell_*", "state_changed"])

    assert expansion.unmatched == ("doorbell_*",)
    assert expansion.names == ("state_changed",)


def test_only_the_star_alone_asks_for_everything() -> None:
    assert asks_for_all(["state_changed", "*"])
    assert not asks_for_all(["*_registry_updated", "user_*"])


def test_what_anybody_may_hear_is_known() -> None:
    assert set(KNOWN) >= OPEN_TO_ALL
    assert len(set(KNOWN)) == len(KNOWN)
