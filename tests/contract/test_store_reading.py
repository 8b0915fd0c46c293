"""Reading events from any store: each filter, and pages that stay right with many events at one time and new ones."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import pytest

from ingestor.events.event import Event, Place
from ingestor.events.point import StoredEvent
from ingestor.storage.embedded_reading import MOST_SINGLY
from ingestor.storage.port import HOUR_NS, EventPosition, EventQuery, position_of
from tests.contract.test_store_contract import T0_US, Bench, bench, called, database_1, open_url, place, state

__all__ = ["bench", "database_1"]  # fixtures
Placed = tuple[Event, Place]
_TAGGED = {
    "sensor.kitchen": Place("sensor.kitchen", "sensor", area="Kitchen", device="Climate", device_class="temperature"),
    "light.kitchen": Place("light.kitchen", "light", area="Kitchen", device="Ceiling"),
    "light.hall": Place("light.hall", "light", area="Hall 'n \\ Co", device="Ceiling"),
    "sensor.loose": Place("sensor.loose", "sensor"),
}


def tagged(bench: Bench) -> None:
    rows = [(state(number, entity=name), where) for number, (name, where) in enumerate(_TAGGED.items())]
    service = called(9, subject="call_service:light.hall", entity_id="light.hall")
    bench.write_events(*rows, (service, Place("call_service:light.hall", "light", area="Hall 'n \\ Co")))


def series_of(bench: Bench, **query: Any) -> set[str]:
    return {event.series for event in bench.read(**query)}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ((("domain", ("sensor",)),), {"sensor.kitchen", "sensor.loose"}),
        ((("domain", ("sensor", "light")), ("area", ("Kitchen",))), {"sensor.kitchen", "light.kitchen"}),
        ((("area", ("Hall 'n \\ Co",)),), {"light.hall", "call_service:light.hall"}),
        ((("device", ("Ceiling",)), ("area", ("Kitchen", "Attic"))), {"light.kitchen"}),
        ((("area", ("-",)),), {"sensor.loose"}),
        ((("device_class", ("temperature",)),), {"sensor.kitchen"}),
        ((("area", ("kitchen",)),), set()),
        ((("area", ()),), set()),
        ((("no_such_tag", ("x",)),), set()),
        ((("area", ("it's' OR '1'='1",)),), set()),
    ],
)
def test_events_are_chosen_by_their_tags(
    bench: Bench, tags: tuple[tuple[str, tuple[str, ...]], ...], expected: set[str]
) -> None:
    tagged(bench)

    assert series_of(bench, tags=tags) == expected


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (("sensor.kitchen",), {"sensor.kitchen"}),
        (("light.hall",), {"light.hall", "call_service:light.hall"}),
        (("call_service:light.hall",), {"call_service:light.hall"}),
        (("sensor.kitchen", "light.hall", "gone.x"), {"sensor.kitchen", "light.hall", "call_service:light.hall"}),
        (("hall",), set()),
        ((), set()),
    ],
)
def test_events_are_chosen_by_their_series_or_what_they_are_about(
    bench: Bench, series: tuple[str, ...], expected: set[str]
) -> None:
    tagged(bench)

    assert series_of(bench, series=series) == expected
    assert series_of(bench, series=series, kind="state") == {name for name in expected if ":" not in name}


def test_more_series_than_are_read_singly_are_found_all_the_same(bench: Bench) -> None:
    names = [f"sensor.n{number}" for number in range(MOST_SINGLY + 2)]
    bench.write_events(*[(state(number, entity=name), place(name)) for number, name in enumerate([*names, "light.x"])])

    assert series_of(bench, series=tuple(names)) == set(names)
    assert [event.series for event in bench.read(series=tuple(names), limit=2)] == names[-1:-3:-1]
    assert [event.series for event in bench.read(series=tuple(names), limit=2, oldest_first=True)] == names[:2]


def test_a_question_that_is_too_long_for_an_address_is_answered(bench: Bench) -> None:
    names = [f"sensor.of_a_rather_long_name_that_goes_on_and_on_{number}" for number in range(400)]
    bench.write_events(*[(state(number, entity=name), place(name)) for number, name in enumerate(names)])

    assert len(bench.read(series=tuple(names))) == 400
    assert [event.series for event in bench.read(series=tuple(names), limit=1)] == names[-1:]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("automation.hall", {"light.a", "light.b"}),
        ("automation.*", {"light.a", "light.b"}),
        ("binary_sensor.?", {"light.b"}),
        ("*", {"light.a", "light.b", "light.c"}),
        ("automation", set()),
        ("a'/\\b*", set()),
    ],
)
def test_events_are_chosen_by_the_id_of_their_cause_or_root_cause(bench: Bench, glob: str, expected: set[str]) -> None:
    by_hall = {"cause_kind": "automation", "cause_id": "automation.hall"}
    bench.write_events(
        (state(1, entity="light.a", extras=by_hall), place("light.a")),
        (state(2, entity="light.b", extras={**by_hall, "root_cause_id": "binary_sensor.x"}), place("light.b")),
        (state(3, entity="light.c", extras={"cause_kind": "user", "cause_id": "c0ffee"}), place("light.c")),
        (state(4, entity="light.d"), place("light.d")),
    )

    assert series_of(bench, cause=glob) == expected


def test_no_cause_is_found_where_none_was_ever_written(bench: Bench) -> None:
    bench.write_events((state(1), place()))

    assert bench.read(cause="*") == []
    assert bench.read(cause="automation.*") == []


def crowd(bench: Bench) -> list[StoredEvent]:
    """Write events of which many have one time, of both kinds; return them in the order of reading."""
    rows: list[Placed] = []
    for at_us, many in ((0, 3), (5, 17), (6, 1), (9, 8)):
        for number in range(many):
            name = f"sensor.n{(number * 7) % many:02}"
            rows.append((state(at_us, entity=name), place(name, area=f"Room {number % 3}")))
            rows.append((called(at_us, identity=42), place(f"call_service:{name}")))
    bench.write_events(*rows)
    everything = bench.read()
    assert len(everything) == len(rows) == 58
    return everything


def walked(bench: Bench, **query: Any) -> list[StoredEvent]:
    found: list[StoredEvent] = []
    after: EventPosition | None = None
    while page := bench.read(after=after, **query):
        assert len(page) <= query["limit"]
        found += page
        after = position_of(page[-1])
        assert len(found) <= 1000, "the pages go round in a circle"
    return found


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 7, 17, 34, 57, 58, 59])
def test_pages_of_any_size_hold_every_event_once_and_in_order(bench: Bench, limit: int, oldest_first: bool) -> None:
    everything = crowd(bench)
    sign = 1 if oldest_first else -1

    found = walked(bench, limit=limit, oldest_first=oldest_first)

    assert found == sorted(everything, key=lambda one: (sign * one.time_ns, one.home, one.series, one.kind))


@pytest.mark.parametrize(
    "query", [{"kind": "state"}, {"entity": "sensor.n0?"}, {"tags": (("area", ("Room 1",)),)}, {"event_type": "call*"}]
)
def test_pages_of_what_is_chosen_hold_all_of_it(bench: Bench, query: dict[str, Any]) -> None:
    crowd(bench)
    chosen = bench.read(**query)
    assert 5 < len(chosen) < 58

    assert walked(bench, limit=4, **query) == chosen
    span = {"since_ns": chosen[-4].time_ns, "until_ns": chosen[3].time_ns}
    assert walked(bench, limit=3, **query, **span) == bench.read(**query, **span)


def test_events_that_arrive_meanwhile_change_no_page_that_is_to_come(bench: Bench) -> None:
    before = crowd(bench)
    found: list[StoredEvent] = []
    after: EventPosition | None = None
    arrived = 0
    while page := bench.read(after=after, limit=5):
        found += page
        after = position_of(page[-1])
        # Newer ones, and one of the same time as the last that was read but before it in the order.
        arrived += 1
        newer = (state(20 + arrived, entity="sensor.new"), place("sensor.new"))
        at_us = after.time_ns // 1000 - 1_795_229_244_000_000
        beside = (state(at_us, entity="a.new"), place(f"a.new{arrived:03}"))
        bench.write_events(newer, beside)

    assert found == before
    assert len(bench.read()) == len(before) + 2 * arrived


def test_a_place_between_two_events_or_beyond_the_last_is_a_place_too(bench: Bench) -> None:
    everything = crowd(bench)
    last = everything[-1]

    beyond = EventPosition(last.time_ns, "￿", "", "")
    between = EventPosition(everything[0].time_ns - 1, "", "", "")

    assert bench.read(after=beyond) == []
    assert bench.read(after=between) == [one for one in everything if one.time_ns < everything[0].time_ns]


def lived(bench: Bench) -> None:
    """A sensor that says much, a light that says little and long ago, and one who called it."""
    old = -30 * 86_400_000_000
    service = called(5, subject="call_service:light.hall", entity_id="light.hall")
    bench.write_events(
        *[(state(number, str(number), entity="sensor.busy"), place("sensor.busy")) for number in range(9)],
        (state(4, "moved", entity="sensor.busy"), place("sensor.busy", area="Hall")),
        (state(old, "off", entity="light.hall"), place("light.hall")),
        (state(old + 1, "on", entity="light.hall"), place("light.hall")),
        (service, Place("call_service:light.hall", "light")),
        (state(99, entity="sensor.other"), place("sensor.other")),
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"each": 1, "kind": "state"}, [("sensor.busy", "8"), ("light.hall", "on")]),
        (
            {"each": 2},
            [("sensor.busy", "8"), ("sensor.busy", "7"), ("call_service:light.hall", None), ("light.hall", "on")],
        ),
        ({"each": 1, "oldest_first": True}, [("light.hall", "off"), ("sensor.busy", "0")]),
        ({"each": 1, "kind": "state", "until_ns": (T0_US + 3) * 1000}, [("sensor.busy", "2"), ("light.hall", "on")]),
        ({"each": 1, "kind": "state", "since_ns": T0_US * 1000}, [("sensor.busy", "8")]),
        ({"each": 5, "limit": 1}, [("sensor.busy", "8")]),
    ],
)
def test_the_first_events_of_each_series_are_found_by_one_question(
    bench: Bench, query: dict[str, Any], expected: list[tuple[str, str | None]]
) -> None:
    lived(bench)

    found = bench.read(series=("sensor.busy", "light.hall", "gone.x"), **query)

    assert [(event.series, event.fields.get("state")) for event in found] == expected


def test_the_first_events_of_very_many_series_are_found(bench: Bench) -> None:
    names = [f"sensor.n{number}" for number in range(450)]
    bench.write_events(*[(state(turn, str(turn), entity=name), place(name)) for name in names for turn in (0, 1)])

    found = bench.read(series=tuple(names), each=1)

    assert sorted((event.series, event.fields["state"]) for event in found) == sorted((name, "1") for name in names)


@pytest.mark.parametrize("rows_at_once", [2, 5, 10_000])
def test_a_scan_gives_every_event_once_in_order_and_tears_no_moment_apart(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    everything = crowd(bench)
    monkeypatch.setattr("ingestor.storage.influx._CHUNK_ROWS", str(rows_at_once))
    far_ns = T0_US * 1000 + 400 * 24 * HOUR_NS

    portions = list(bench.store.scan(EventQuery(home=bench.home, until_ns=far_ns, limit=1)))

    found = [event for portion in portions for event in portion]
    assert found == sorted(everything, key=lambda one: (one.time_ns, one.home, one.series, one.kind))
    ends = [(portion[0].time_ns, portion[-1].time_ns) for portion in portions]
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ends))


@pytest.mark.parametrize(
    "query",
    [
        {"kind": "event"},
        {"entity": "*n1*"},
        {"event_type": "call_service"},
        {"series": ("sensor.n00", "sensor.n07")},
        {"series": ()},
        {"tags": (("area", ("Room 1",)),)},
        {"since_ns": T0_US * 1000 + 5000, "until_ns": T0_US * 1000 + 9000},
        {"since_ns": T0_US * 1000 + 10_000},
        {"event_type": "nothing_of_the_kind"},
    ],
)
def test_a_scan_finds_what_reading_finds(bench: Bench, query: dict[str, Any]) -> None:
    crowd(bench)
    asked = {"until_ns": T0_US * 1000 + HOUR_NS, **query}

    found = [event for portion in bench.store.scan(EventQuery(home=bench.home, limit=1, **asked)) for event in portion]

    assert found == bench.read(oldest_first=True, **asked)


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("limit", [1, 3, 6, 100])
def test_what_lies_years_apart_is_found_from_either_end(bench: Bench, limit: int, oldest_first: bool) -> None:
    day_us = 24 * HOUR_NS // 1000
    days = (0, 1, 8, 40, 500, 1300)
    bench.write_events(*[(state(day * day_us, entity=f"sensor.of_{day}"), place(f"sensor.of_{day}")) for day in days])
    span = {"since_ns": T0_US * 1000, "until_ns": (T0_US + 2000 * day_us) * 1000}

    found = bench.read(limit=limit, oldest_first=oldest_first, **span)

    wanted = sorted(days, reverse=not oldest_first)[:limit]
    assert [event.series for event in found] == [f"sensor.of_{day}" for day in wanted]


def test_a_scan_without_a_beginning_finds_what_is_oldest(bench: Bench) -> None:
    bench.write_events(
        (state(-T0_US - 5_000_000, entity="sensor.before_1970"), place("sensor.before_1970")),
        (state(7 - T0_US, entity="sensor.of_1970"), place("sensor.of_1970")),
        (state(0), place()),
    )

    found = [
        one.series for part in bench.store.scan(EventQuery(home=bench.home, until_ns=T0_US * 2000)) for one in part
    ]

    assert found == ["sensor.before_1970", "sensor.of_1970", "sensor.kitchen"]


def test_a_scan_asks_for_more_series_than_an_address_can_name(database_1: str) -> None:
    store = open_url(database_1)
    bench = Bench(store, f"t{uuid.uuid4().hex[:12]}")
    bench.write_events((state(0), place()))
    names = tuple(f"sensor.of_a_rather_long_name_that_goes_on_and_on_{number}" for number in range(30_000))

    at_ns = T0_US * 1000
    asked = EventQuery(home=bench.home, since_ns=at_ns, until_ns=at_ns + HOUR_NS, series=(*names, "sensor.kitchen"))

    found = list(store.scan(asked))

    assert [event.series for portion in found for event in portion] == ["sensor.kitchen"]
    store.close()
