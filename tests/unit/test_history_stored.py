"""Rows of Home Assistant's history are compared with what is stored, under every name that an entity ever had."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ingestor.pipeline.history_stored import MissingRows
from ingestor.storage.memory import MemoryStore
from ingestor.storage.port import StoredState

AT_S = 1_800_000_000.25
AT_NS = 1_800_000_000_250_000_000
SPAN = (1_799_999_999_000_000, 1_800_000_001_000_000)
OLD, NEW = "light.ceiling", "light.lamp"


class OneState(MemoryStore):
    """A store with one state of the entity's time under its old name."""

    def __init__(self, source: str = "websocket") -> None:
        super().__init__()
        self._source = source

    def states_between(self, home: str, since_ns: int, until_ns: int, limit: int) -> list[StoredState]:
        return [StoredState(AT_NS, OLD, OLD, "on", self._source)]


def missing(
    series: Mapping[str, Collection[str]], *rows: dict[str, Any], source: str = "websocket"
) -> dict[str, list[Any]]:
    found = MissingRows(OneState(source), lambda: series).of("home", {NEW: list(rows)}, *SPAN)
    assert found is not None
    return found.rows


def test_the_past_that_a_renamed_entity_took_along_is_stored_under_its_old_name() -> None:
    assert missing({NEW: {OLD, NEW}}, {"s": "on", "lu": AT_S}) == {}


def test_what_is_not_there_under_any_name_is_missing() -> None:
    off = {"s": "off", "lu": AT_S}

    assert missing({NEW: {OLD, NEW}}, {"s": "on", "lu": AT_S}, off) == {NEW: [off]}


def test_another_entity_at_the_same_moment_is_not_taken_for_it() -> None:
    on = {"s": "on", "lu": AT_S}

    assert missing({NEW: {NEW}}, on) == {NEW: [on]}
    assert missing({}, on) == {NEW: [on]}


def test_what_came_from_history_is_not_read_back_again_and_what_came_from_statistics_is() -> None:
    on = {"s": "on", "lu": AT_S}

    assert missing({NEW: {OLD}}, on, source="history") == {}
    assert missing({NEW: {OLD}}, on, source="statistics") == {NEW: [on]}
