"""What a few entities of a home were over time: persons, the rooms' sensors, the weather; looked up without I/O.

Enrichment asks of the past ("how warm was this room when the lamp went on?"), also of an event that comes late. So each
watched entity has a short series of values; bounded, by time, whatever order they come in.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from ingestor import errors
from ingestor.events.values import number_of, time_us
from ingestor.home.facts import HomeFacts
from ingestor.home.model import domain_of
from ingestor.home.observation import Observation, celsius, observation_of

#: A person's whereabouts, a number (°C, %), the weather; None is not known.
Value = str | float | Observation | None

#: Values kept of one entity in a process.
MAX_VALUES: Final = 1000
#: Entities of which values are kept in a process.
MAX_SERIES: Final = 5000
#: Before the first known value, and after the last one.
LONG_AGO_US: Final = -(2**62)
FAR_AHEAD_US: Final = 2**62
_NOT_KNOWN: Final = frozenset({"unknown", "unavailable"})
_MAX_TEXT: Final = 255
#: Units of numbers that are taken as they are: humidity and battery, link quality, signal strength.
_AS_IT_IS: Final = frozenset({"%", "lqi", "dB", "dBm"})


class Reading(msgspec.Struct, array_like=True, frozen=True):
    """What an entity was from a time on (Unix, microseconds)."""

    entity_id: str
    time_us: int
    value: Value


class Span(msgspec.Struct, frozen=True):
    """A value, and from when until when (exclusive) it is known to have been so."""

    value: Value
    from_us: int = LONG_AGO_US
    until_us: int = FAR_AHEAD_US


class Series:
    """The values of one entity by time. `changes` counts what was put in."""

    __slots__ = ("_times_us", "_values", "changes")

    def __init__(self) -> None:
        self.changes = 0
        self._times_us: list[int] = []
        self._values: list[Value] = []

    def put(self, time_us: int, value: Value) -> bool:
        """Put a value in its place; return whether anything is new."""
        times = self._times_us
        index = bisect_left(times, time_us)
        if index < len(times) and times[index] == time_us:
            if self._values[index] == value:
                return False
            self._values[index] = value
        else:
            times.insert(index, time_us)
            self._values.insert(index, value)
        if len(times) > MAX_VALUES:
            del times[: MAX_VALUES // 10], self._values[: MAX_VALUES // 10]
        self.changes += 1
        return True

    def at(self, time_us: int) -> Span:
        """Return the value in force at a time; None before the first one."""
        times = self._times_us
        index = bisect_right(times, time_us)
        until_us = times[index] if index < len(times) else FAR_AHEAD_US
        if index == 0:
            return Span(None, LONG_AGO_US, until_us)
        return Span(self._values[index - 1], times[index - 1], until_us)

    def value_at(self, time_us: int) -> Value:
        """Return the value in force at a time alone: the quick way."""
        index = bisect_right(self._times_us, time_us)
        return self._values[index - 1] if index else None

    def between(self, since_us: int, until_us: int) -> list[Value]:
        """Return the values that came in from a time on until another."""
        return self._values[bisect_left(self._times_us, since_us) : bisect_left(self._times_us, until_us)]

    def newest(self) -> Span:
        """Return the last value."""
        return self.at(FAR_AHEAD_US - 1)


class Watched(Protocol):
    """The series of all homes, as far as this process has read them."""

    def series(self, home: str, entity_id: str) -> Series | None:
        """Return an entity's values; None where there are none. No I/O."""
        ...

    def exchange(self, home: str, readings: Sequence[Reading]) -> None:
        """Take readings in, tell other processes, and hear theirs: at most one round trip. Raises StateUnavailable."""
        ...


class MemoryWatched:
    """Series within one process: for tests, for trying things out, and the local copy of `RedisWatched`."""

    def __init__(self) -> None:
        self._series: OrderedDict[tuple[str, str], Series] = OrderedDict()

    def series(self, home: str, entity_id: str) -> Series | None:
        """Return an entity's values; None where there are none."""
        return self._series.get((home, entity_id))

    def exchange(self, home: str, readings: Sequence[Reading]) -> None:
        """Take readings in."""
        for one in readings:
            self._put(home, one)

    def _put(self, home: str, reading: Reading) -> bool:
        key = (home, reading.entity_id)
        found = self._series.get(key)
        if found is None:
            if len(self._series) >= MAX_SERIES:
                self._series.popitem(last=False)
            found = self._series[key] = Series()
        return found.put(reading.time_us, reading.value)


def watched_entities(facts: HomeFacts, more: Collection[str] = ()) -> frozenset[str]:
    """Return the entities whose states enrichment needs."""
    rooms = (
        sensor for area in facts.areas.values() for sensor in (area.temperature_entity_id, area.humidity_entity_id)
    )
    devices = (
        entity_id
        for device in facts.devices.values()
        for entity_id in (device.link_quality_entity_id, device.signal_entity_id, device.battery_entity_id)
    )
    persons = (person.entity_id for person in facts.persons)
    return frozenset({*rooms, *devices, *persons, *facts.weather_entity_ids, *more} - {""})


def weather_key(provider: str) -> str:
    """Return the name of what a provider tells among the watched entities; no entity can be called so."""
    return f"weather:{provider}"


def says_anything(reading: Reading) -> bool:
    """Tell whether a reading is worth keeping: of the weather the last value is, with its age, where there is none."""
    return reading.value is not None or domain_of(reading.entity_id) != "weather"


def current_readings(facts: HomeFacts, states: Iterable[Mapping[str, Any]]) -> list[Reading]:
    """Return what the watched entities are by Home Assistant's list of states; what is no state is left out."""
    watched = watched_entities(facts)
    found = []
    for state in states:
        attributes, entity_id = state.get("attributes"), state.get("entity_id")
        if entity_id not in watched or not isinstance(attributes, dict):
            continue
        # A state holds since it changed; what stands in the attributes since they were updated.
        since = state.get("last_updated" if domain_of(entity_id) == "weather" else "last_changed")
        try:
            at_us = time_us(str(since))
        except errors.Rejected:
            continue
        unit = attributes.get("unit_of_measurement")
        found.append(reading_of(entity_id, at_us, str(state.get("state")), unit, attributes))
    return [one for one in found if says_anything(one)]


def reading_of(
    entity_id: str, at_us: int, state: str | None, unit: str | None, attributes: Mapping[str, Any]
) -> Reading:
    """Return what a state of a watched entity says, in units of our own."""
    domain = domain_of(entity_id)
    value: Value
    if domain == "weather":
        value = observation_of(at_us, state, attributes)
    elif domain == "person":
        value = None if state is None or state in _NOT_KNOWN else state[:_MAX_TEXT]
    else:
        found = number_of(state)
        value = found if unit in _AS_IT_IS else celsius(found, unit)
    return Reading(entity_id, at_us, value)
