"""The moment of an event: the newest at or before it, of its home, read a window at a time."""

from __future__ import annotations

from ingestor.cli.events_context import in_words
from ingestor.events.point import FieldValue, StoredEvent
from ingestor.reading.context import ContextJoin
from ingestor.storage.port import HOUR_NS, StoredMoment

NOON_NS = 1_795_262_400_000_000_000
MINUTE_NS = 60_000_000_000


class Store:
    """Moments of two homes, and what was asked for."""

    def __init__(self, **homes: list[int]) -> None:
        self.homes = homes
        self.asked: list[tuple[str, int, int]] = []

    def moments_between(self, home: str, since_ns: int, until_ns: int) -> list[StoredMoment]:
        self.asked.append((home, since_ns, until_ns))
        times = (NOON_NS + minute * MINUTE_NS for minute in sorted(self.homes[home]))
        return [StoredMoment(at, {}) for at in times if since_ns <= at < until_ns]


def event(minute: float, home: str = "a") -> StoredEvent:
    return StoredEvent(NOON_NS + int(minute * MINUTE_NS), "state", home, "light.a", "light")


def minutes(store: Store, *events: StoredEvent) -> list[int | None]:
    join = ContextJoin(store)
    found = [join.of(one) for one in events]
    return [None if one is None else (one.time_ns - NOON_NS) // MINUTE_NS for one in found]


def test_an_event_has_the_newest_moment_at_or_before_it() -> None:
    store = Store(a=[0, 1, 5])

    assert minutes(store, event(5.5), event(5), event(4.9), event(1), event(0.5)) == [5, 5, 1, 1, 0]
    assert len(store.asked) == 1


def test_a_moment_of_more_than_an_hour_ago_and_one_that_comes_later_say_nothing() -> None:
    assert minutes(Store(a=[0]), event(60), event(60.1), event(-1)) == [0, None, None]


def test_a_moment_before_the_window_that_was_read_is_looked_for() -> None:
    assert minutes(Store(a=[0, -430]), event(0), event(-390)) == [0, -430]


def test_the_moments_of_another_home_are_not_taken() -> None:
    assert minutes(Store(a=[0], b=[3]), event(4, "b"), event(4), event(3.5, "b")) == [3, 0, 3]


def test_a_year_of_events_is_read_in_windows_of_hours() -> None:
    hours = [60 * hour for hour in range(-48, 1)]
    store = Store(a=hours)

    found = minutes(store, *(event(minute) for minute in reversed(hours)))

    assert found == list(reversed(hours))
    assert 7 <= len(store.asked) <= 9
    assert all(until - since <= 7 * HOUR_NS + 1 for _, since, until in store.asked)


def test_a_moment_in_words() -> None:
    outside: dict[str, FieldValue] = {"outdoor_temperature": 3.5, "outdoor_condition": "cloudy", "sun_phase": "night"}
    who: dict[str, FieldValue] = {"persons_home_names": "Anna, Ben"}

    assert in_words(StoredMoment(0, outside | who)) == "3.5 °C cloudy · night · Anna, Ben"
    assert in_words(StoredMoment(0, {"persons_home_names": ""})) == "nobody home"
    assert in_words(StoredMoment(0, {"sun_phase": "day"})) == "day"
    assert in_words(None) == ""
