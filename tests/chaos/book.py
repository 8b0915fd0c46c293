"""The book of what was sent: one line of JSON an event, as it must be found in the store; judges nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from ingestor.demo.wire import Event

#: What marks a bad event in its own bytes, so that it is found again in the quarantine.
BAD_MARK = "bad-%d-"
#: Entities that only MQTT knows, whose events have no time of their own.
UNTIMED_SERIES = "mqtt.zigbee2mqtt-chaos_%d-reading"


class Book:
    """Lines in a file of the source's; the harness reads them at the end."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=1 << 20)
        self.sent: dict[str, int] = {}

    def line(self, kind: str, **said: Any) -> None:
        """Write a line that is no event: a move, a cut, an uncertain message."""
        self._file.write(orjson.dumps({"k": kind, **said}) + b"\n")

    def state(self, event: Event, series: str, roads: tuple[str, ...], *, heard: bool = True) -> None:
        """Write a change of state, or a removal."""
        new, old = event.new, event.old
        self.count(roads)
        self.line(
            "state",
            series=series,
            entity=event.entity_id,
            t=event.fired_us if new is None else new.updated_us,
            state=None if new is None else new.state,
            previous=None if old is None else old.state,
            unit=None if new is None else new.attributes.get("unit_of_measurement"),
            context=event.context.id,
            roads=roads,
            heard=heard,
        )

    def untimed(self, number: int, series: str) -> None:
        """Write a reading that has no time but that of its receipt."""
        self.count(("zigbee2mqtt",))
        self.line("untimed", series=series, state=str(number))

    def other(self, event: Event, about: str, *, heard: bool) -> None:
        """Write an event that is no state: Home Assistant keeps no history of it."""
        self.count((event.event_type,))
        self.line(
            "other",
            series=f"{event.event_type}:{about}",
            type=event.event_type,
            t=event.fired_us,
            context=event.context.id,
            entity=event.data.get("entity_id"),
            data=event.data,
            heard=heard,
        )

    def bad(self, number: int, how: str, road: str, time_us: int) -> None:
        """Write that something was sent which must end in the quarantine."""
        self.count((f"bad by {road}",))
        self.line("bad", number=number, how=how, road=road, t=time_us)

    def count(self, roads: tuple[str, ...]) -> None:
        """Count an event under the roads that it takes."""
        name = "+".join(roads)
        self.sent[name] = self.sent.get(name, 0) + 1

    @property
    def total(self) -> int:
        """How many events are in the book, bad ones too."""
        return sum(self.sent.values())

    def flush(self) -> None:
        """Let others read what was written."""
        self._file.flush()

    def close(self) -> None:
        """End the book."""
        self._file.close()
