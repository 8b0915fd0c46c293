"""Hourly statistics of the demo home as Home Assistant's recorder makes and tells them; kept in memory, for ever."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ingestor.demo.bus import Bus
from ingestor.demo.clock import HOUR_US, SECOND_US
from ingestor.demo.wire import Event

_MS_US: Final = 1000
_TOTALS: Final = frozenset({"total", "total_increasing"})
#: In this order Home Assistant tells them.
_TYPES: Final = ("last_reset", "max", "mean", "min", "state", "sum")
#: A value holds until the next; one that was not renewed for so many hours is not carried on.
_LONGEST_HOURS: Final = 24 * 10


@dataclass(slots=True)
class _Running:
    """The present hour of one entity."""

    hour_us: int
    at_us: int
    value: float | None
    total: float = 0.0
    weight: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    sum: float = 0.0


@dataclass(frozen=True, slots=True)
class About:
    """What is said of a statistic besides its hours."""

    has_sum: bool
    unit: str | None
    name: str | None = None
    source: str = "recorder"


class Statistics:
    """Follows every entity with a state class, and takes in what is imported."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._about: dict[str, About] = {}
        self._hours: dict[str, dict[int, dict[str, Any]]] = {}
        self._running: dict[str, _Running] = {}
        bus.listen(self._record)

    def put(self, statistic_id: str, about: About, stats: Sequence[dict[str, Any]]) -> None:
        """Take in hours from elsewhere; they replace those of the same time."""
        self._about[statistic_id] = about
        kept = self._hours.setdefault(statistic_id, {})
        for row in stats:
            start_us = round(datetime.fromisoformat(row["start"]).timestamp()) * SECOND_US
            kept[start_us] = {name: row.get(name) for name in _TYPES}

    def list_ids(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return of what there are statistics; only those with a `sum` or a `mean` on request."""
        wanted = (
            (name, about) for name, about in self._about.items() if kind is None or about.has_sum == (kind == "sum")
        )
        return [self._described(name, about) for name, about in wanted]

    def _described(self, statistic_id: str, about: About) -> dict[str, Any]:
        mean_type = {"mean_type": int(not about.has_sum)} if self._bus.modern else {}
        return {
            "statistic_id": statistic_id,
            "display_unit_of_measurement": about.unit,
            "has_mean": not about.has_sum,
            **mean_type,
            "has_sum": about.has_sum,
            "name": about.name,
            "source": about.source,
            "statistics_unit_of_measurement": about.unit,
            "unit_class": None,
        }

    def during(
        self, start_us: int, end_us: int, statistic_ids: Sequence[str], types: Sequence[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """Return the whole hours that begin in that time, of each statistic that has any."""
        for running in list(self._running.items()):
            self._go_on(*running, self._bus.clock.now_us())
        found = {name: list(self._told(name, start_us, end_us, types)) for name in statistic_ids}
        return {name: rows for name, rows in found.items() if rows}

    def _told(self, statistic_id: str, start_us: int, end_us: int, types: Sequence[str]) -> Iterator[dict[str, Any]]:
        hours = self._hours.get(statistic_id, {})
        for at_us in sorted(at for at in hours if start_us <= at < end_us):
            values = {name: hours[at_us][name] for name in _TYPES if name in types}
            yield {"start": at_us // _MS_US, "end": (at_us + HOUR_US) // _MS_US, **values}

    def _record(self, event: Event) -> None:
        if event.event_type != "state_changed" or not event.entity_id or event.new is None:
            return
        attributes = event.new.attributes
        state_class = attributes.get("state_class")
        if state_class is None:
            return
        if event.entity_id not in self._about:
            about = About(state_class in _TOTALS, attributes.get("unit_of_measurement"))
            self._about[event.entity_id] = about
        value, now_us = _number(event.new.state), event.fired_us
        running = self._running.get(event.entity_id)
        if running is None:
            running = self._running[event.entity_id] = _Running(now_us - now_us % HOUR_US, now_us, value)
        self._go_on(event.entity_id, running, now_us)
        if value is not None and running.value is not None and value > running.value:
            running.sum += value - running.value
        running.value = running.value if value is None else value
        _note(running)

    def _go_on(self, entity_id: str, running: _Running, now_us: int) -> None:
        """Let time go by: close the hours that are over."""
        for _ in range(_LONGEST_HOURS):
            end_us = running.hour_us + HOUR_US
            until_us = min(now_us, end_us)
            if running.value is not None and until_us > running.at_us:
                running.total += running.value * (until_us - running.at_us)
                running.weight += until_us - running.at_us
                _note(running)
            running.at_us = max(running.at_us, until_us)
            if now_us < end_us:
                return
            self._close(entity_id, running)
        running.hour_us, running.at_us = now_us - now_us % HOUR_US, now_us

    def _close(self, entity_id: str, running: _Running) -> None:
        if running.weight:
            row: dict[str, Any] = dict.fromkeys(_TYPES)
            if self._about[entity_id].has_sum:
                row |= {"state": running.value, "sum": running.sum}
            else:
                row |= {"mean": running.total / running.weight, "min": running.low, "max": running.high}
            self._hours.setdefault(entity_id, {})[running.hour_us] = row
        running.hour_us += HOUR_US
        running.total = running.weight = 0.0
        running.low, running.high = math.inf, -math.inf


def _note(running: _Running) -> None:
    if running.value is not None:
        running.low, running.high = min(running.low, running.value), max(running.high, running.value)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
