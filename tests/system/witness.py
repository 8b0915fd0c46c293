"""A witness of what Home Assistant said: a connection of the test's own, beside the product's. No product code."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from tests.homeassistant.talk import Conversation


@dataclass(frozen=True, slots=True)
class Said:
    """An event as Home Assistant sent it; `time_us` is the time that its point should have."""

    event_type: str
    data: dict[str, Any]
    time_us: int
    context: dict[str, Any]

    @property
    def change(self) -> tuple[str, int, str | None]:
        """Return what tells a change of state from every other: entity, time, state (None: removed)."""
        new = self.data["new_state"]
        return self.data["entity_id"], self.time_us, None if new is None else new["state"]


class Home(Protocol):
    """A home that a test can talk to."""

    def connect(self) -> Conversation:
        """Return a connection of its own."""
        ...


class Witness:
    """Notes every event that Home Assistant sends, until it stops or `close` is called."""

    def __init__(self, home: Home) -> None:
        self.said: list[Said] = []
        self._conversation = home.connect()
        self._conversation.command("subscribe_events")
        self._thread = threading.Thread(target=self._note_all, daemon=True)
        self._thread.start()

    def of_type(self, *event_types: str) -> list[Said]:
        """Return what was said of some types, so far."""
        return [event for event in list(self.said) if event.event_type in event_types]

    def changes_of(self, entity_id: str) -> list[Said]:
        """Return the state changes of an entity, so far."""
        return [event for event in self.of_type("state_changed") if event.data["entity_id"] == entity_id]

    def close(self) -> None:
        """End the connection; what was said stays."""
        self._conversation.cut()
        self._thread.join(10)

    def _note_all(self) -> None:
        for event in self._conversation.events():
            self.said.append(_said(event))


def _said(event: dict[str, Any]) -> Said:
    data = event["data"]
    new = data.get("new_state") if event["event_type"] == "state_changed" else None
    moment = event["time_fired"] if new is None else new["last_updated"]
    return Said(event["event_type"], data, time_us(moment), event["context"])


def time_us(moment: str) -> int:
    """Return an ISO time as Unix microseconds."""
    return round(datetime.fromisoformat(moment).timestamp() * 1_000_000)
