"""Reading for an export: everything once, in the order of time, a portion at a time."""

from __future__ import annotations

from typing import Any

import pytest

from ingestor.events.point import Point, StoredEvent
from ingestor.export.reading import portions
from ingestor.storage.memory import MemoryStore
from ingestor.storage.port import EventQuery
from ingestor.storage.scanning import Slices, scan_by_reading
from ingestor.storage.schema import STATES

DAY_NS = 86_400 * 10**9
T0_NS = 1_700_000_000 * 10**9


def stored(*times_ns: int) -> MemoryStore:
    store = MemoryStore()
    points = [
        Point(
            STATES, (("domain", "sensor"), ("home", "home"), ("series", f"sensor.s{number}")), {"available": True}, at
        )
        for number, at in enumerate(times_ns)
    ]
    store.write(points)
    return store


class Asked(MemoryStore):
    """Remembers what it was asked; is read by so many at once."""

    def __init__(self, of: MemoryStore, portion: int = 64) -> None:
        self.__dict__.update(of.__dict__)
        self.queries: list[EventQuery] = []
        self.portion = portion

    def scan(self, query: EventQuery) -> Any:
        return scan_by_reading(self.read, query, self.portion)

    def read(self, query: EventQuery) -> Any:
        self.queries.append(query)
        return super().read(query)


def times(found: list[list[StoredEvent]]) -> list[int]:
    return [event.time_ns - T0_NS for events in found for event in events]


def test_what_is_later_than_now_is_one_slice() -> None:
    slices = Slices(0, 1_000 * DAY_NS, now_ns=DAY_NS // 2)
    found = []
    while (one := slices.next()) is not None:
        found.append(one)
        slices.done(one[1])

    assert found == [(0, DAY_NS // 4), (DAY_NS // 4, DAY_NS // 2), (DAY_NS // 2, 1_000 * DAY_NS)]


def test_all_is_read_once_in_the_order_of_time_though_most_of_it_is_of_one_minute() -> None:
    dense = [T0_NS + 1_000_000 * number for number in range(500)]
    sparse = [T0_NS + DAY_NS * 200 + number * DAY_NS for number in range(40)]
    store = Asked(stored(*dense, *sparse))

    found = list(portions(store, EventQuery(limit=10**9, until_ns=T0_NS + 1000 * DAY_NS)))

    assert times(found) == sorted(at - T0_NS for at in [*dense, *sparse])
    assert max(map(len, found)) <= 64
    assert len(store.queries) < 120
    assert all(query.limit <= 64 for query in store.queries)


def test_events_of_one_moment_are_not_torn_apart() -> None:
    moments = [T0_NS] * 10 + [T0_NS + 1] * 30 + [T0_NS + 2] * 3

    found = list(portions(Asked(stored(*moments), 8), EventQuery(limit=10**9, until_ns=T0_NS + DAY_NS)))

    assert times(found) == [0] * 10 + [1] * 30 + [2] * 3


@pytest.mark.parametrize("limit", [1, 8, 9, 100])
def test_no_more_is_read_than_is_asked_for(limit: int) -> None:
    store = Asked(stored(*(T0_NS + number for number in range(20))), 8)

    found = list(portions(store, EventQuery(limit=limit, until_ns=T0_NS + DAY_NS)))

    assert times(found) == list(range(min(limit, 20)))


def test_the_span_is_kept_to() -> None:
    store = stored(*(T0_NS + number for number in range(20)))
    query = EventQuery(limit=10**9, since_ns=T0_NS + 5, until_ns=T0_NS + 9)

    assert times(list(portions(store, query))) == [5, 6, 7, 8]


def test_an_empty_store_gives_nothing() -> None:
    assert list(portions(MemoryStore(), EventQuery(limit=10**9))) == []
