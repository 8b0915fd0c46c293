"""Load from prebuilt frames: each event is a template with numbers and times patched in; sends nothing itself.

The state of event number n is n, so that who reads them knows what is missing. No two events have the same time.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ingestor.demo.clock import SECOND_US
from ingestor.demo.home import DemoHome
from ingestor.demo.recorder import Asked
from ingestor.demo.wire import iso, ulid_time

_LONGEST_BATCH: Final = 10_000
_BATCHES_KEPT: Final = 1_000_000
_ENDLESS: Final = 2**62


@dataclass(frozen=True, slots=True)
class Sent:
    """Which events went out together: numbers from `first`, times from `start_us`, a microsecond apart."""

    first: int
    start_us: int
    count: int


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and how much: events a second (0: as fast as it goes) until a count, or seconds; 0: without end."""

    rate: float
    count: int = 0
    seconds: float = 0.0

    def due(self, sent: int, passed_s: float, most: int) -> int | None:
        """Return how many events are to be sent now; None: the load is over."""
        limit = self.count or _ENDLESS
        if self.seconds and self.rate:
            limit = min(limit, round(self.rate * self.seconds))
        if sent >= limit or (self.seconds and not self.rate and passed_s >= self.seconds):
            return None
        wanted = int(passed_s * self.rate) if self.rate else sent + most
        return max(0, min(wanted - sent, limit - sent, most))


class LoadSource:
    """Makes state changes of a home's sensors, in turn. `compact` is Home Assistant's JSON, else Python's."""

    def __init__(self, home: DemoHome, *, compact: bool = True) -> None:
        home.begin()
        self._home = home
        self.entity_ids = sorted(home.bus.states)
        self._attributes = [home.bus.states[entity_id].attributes for entity_id in self.entity_ids]
        templates = [_Template(home, entity_id, compact=compact) for entity_id in self.entity_ids]
        self._states = [one.state for one in templates]
        self._events = [one.event for one in templates]
        self._latest = [one.first for one in templates]
        self._last_us = 0
        self.sent: deque[Sent] = deque(maxlen=_BATCHES_KEPT)
        self.total = 0

    def claim(self, count: int, now_us: int) -> tuple[int, int]:
        """Take the next numbers; return the first of them and its time. All are in one second, none at its start."""
        if count > _LONGEST_BATCH:
            raise ValueError(f"a batch has at most {_LONGEST_BATCH} events")
        start_us = max(now_us, self._last_us + 1)
        micros = start_us % SECOND_US
        if micros + count > SECOND_US:
            start_us, micros = start_us - micros + SECOND_US, 0
        start_us += 0 if micros else 1
        first, self.total = self.total, self.total + count
        self._last_us = start_us + count
        self.sent.append(Sent(first, start_us, count))
        return first, start_us

    def bodies(self, count: int, now_us: int) -> list[bytes]:
        """Return so many events, each without the subscription's id and the last brace."""
        first, start_us = self.claim(count, now_us)
        second = iso(start_us - start_us % SECOND_US)[:19].encode() + b"."
        micros = start_us % SECOND_US
        ulid = ulid_time(start_us).encode()
        states, events, latest = self._states, self._events, self._latest
        entities = len(states)
        found: list[bytes] = []
        append = found.append
        for number in range(first, first + count):
            index = number % entities
            time = b"%b%06d+00:00" % (second, micros)
            context = b"%b%016d" % (ulid, number)
            old = latest[index]
            new = states[index] % (number, time, time, time, context)
            latest[index] = new
            append(events[index] % (old, new, time, context))
            micros += 1
        return found

    def states_json(self) -> list[bytes]:
        """Return the state of each entity as it was sent last."""
        return list(self._latest)

    def history(self, asked: Asked) -> dict[str, list[dict[str, Any]]]:
        """Return what was sent, as rows; the recorder has it at once."""
        found = {entity_id: list(self._rows(entity_id, asked)) for entity_id in asked.entity_ids}
        return {entity_id: rows for entity_id, rows in found.items() if rows}

    def _rows(self, entity_id: str, asked: Asked) -> Iterator[dict[str, Any]]:
        if entity_id not in self.entity_ids:
            return
        index, entities = self.entity_ids.index(entity_id), len(self.entity_ids)
        attributes = {} if asked.no_attributes else {"a": self._attributes[index]}
        batches = list(self.sent)
        begin = max(0, bisect_right(batches, asked.start_us, key=lambda batch: batch.start_us) - 1)
        for batch in batches[begin:]:
            if batch.start_us >= asked.end_us:
                return
            skipped = (index - batch.first) % entities
            for offset in range(skipped, batch.count, entities):
                time_us = batch.start_us + offset
                if asked.start_us < time_us < asked.end_us:
                    yield {"s": str(batch.first + offset), **attributes, "lu": time_us / SECOND_US}

    def take_over(self) -> None:
        """Let the home answer for its states and history with what was sent."""
        self._home.states_json = self.states_json
        self._home.recorder = self


class _Template:
    """The frame of one entity, cut where numbers and times go."""

    def __init__(self, home: DemoHome, entity_id: str, *, compact: bool) -> None:
        state = home.bus.states[entity_id].as_dict()
        self.first = _dump(state, compact=compact)
        times = {key: _TIME for key in state if key.startswith("last_")}
        context = {"id": _CONTEXT, "parent_id": None, "user_id": None}
        self.state = _holes(_dump({**state, "state": _NUMBER, **times, "context": context}, compact=compact))
        if not home.modern:  # it has one time less: the argument for it is printed with no sign of it
            self.state = self.state.replace(b'"last_updated"', b'%.0b"last_updated"')
        data = {"entity_id": entity_id, "old_state": _STATE, "new_state": _STATE}
        event = {
            "event_type": "state_changed",
            "data": data,
            "origin": "LOCAL",
            "time_fired": _TIME,
            "context": context,
        }
        if compact:
            whole = _dump({"type": "event", "event": event}, compact=True)[:-1]
        else:
            # Its envelope has neither time nor context: the arguments for them are printed with no sign of them.
            whole = _dump({"event_type": "state_changed", "event_data": data}, compact=False)
        self.event = _holes(whole) + (b"" if compact else b"%.0b%.0b")


_NUMBER: Final = "@number@"
_TIME: Final = "@time@"
_CONTEXT: Final = "@context@"
_STATE: Final = "@state@"


def _dump(value: Any, *, compact: bool) -> bytes:
    return orjson.dumps(value) if compact else json.dumps(value).encode()


def _holes(text: bytes) -> bytes:
    text = text.replace(b"%", b"%%").replace(b'"@state@"', b"%b").replace(b"@number@", b"%d")
    return text.replace(b"@time@", b"%b").replace(b"@context@", b"%b")
