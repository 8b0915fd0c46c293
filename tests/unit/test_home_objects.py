"""What of an object is kept, and what counts as a change of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from ingestor.home.objects import Known, Observed, compare, digest_of, kept_json


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("entity", {"name": "a", "modified_at": 1.5}, {"modified_at": 2.5, "name": "a"}),
        (
            "zigbee_device",
            {"ieee": "1", "lqi": 5, "neighbors": [{"ieee": "2", "lqi": "9"}, {"ieee": "3", "lqi": "8"}]},
            {"ieee": "1", "lqi": 7, "neighbors": [{"ieee": "3", "lqi": "1"}, {"ieee": "2", "lqi": "0"}]},
        ),
    ],
)
def test_what_changes_all_the_time_is_no_change(kind: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert digest_of(kind, before) == digest_of(kind, after)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("entity", {"name": "a"}, {"name": "b"}),
        ("entity", {"labels": ["a", "b"]}, {"labels": ["b", "a"]}),
        ("zigbee_device", {"neighbors": [{"ieee": "2"}]}, {"neighbors": [{"ieee": "2"}, {"ieee": "3"}]}),
    ],
)
def test_all_else_is_a_change(kind: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert digest_of(kind, before) != digest_of(kind, after)


def test_the_secrets_of_an_automation_are_not_kept() -> None:
    config = {"alias": "Leave", "actions": [{"action": "alarm.arm", "data": {"code": "4711"}, "webhook_id": "w-77"}]}

    kept = kept_json({"config": config, "name": "Leave"})

    assert "4711" not in kept
    assert "w-77" not in kept
    assert orjson.loads(kept)["config"]["alias"] == "Leave"


def test_an_object_that_is_too_large_leaves_its_names_and_its_size() -> None:
    kept = orjson.loads(kept_json({"id": "7", "alias": "Big", "actions": ["x" * 100] * 50}, most=1000))

    assert kept == {"alias": "Big", "id": "7", "too_large_bytes": 5186}


def test_a_home_that_is_as_it_was_needs_nothing_from_the_store() -> None:
    known = {("area", "hall"): Known(1, 0, digest_of("area", {"name": "Hall"}))}

    change = compare(Observed({"area": {"hall": {"name": "Hall"}}}), known)

    assert (change.ended, change.begun, bool(change.diff), str(change.diff)) == ([], [], False, "unchanged")
