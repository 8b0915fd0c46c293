"""What we rely on of Home Assistant's history, tried on the demo home and on real Home Assistants alike."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract.homeassistant_peer import PEERS, PROBE, Line, Peer, about, start_peer


@pytest.fixture(scope="module", params=PEERS)
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    yield from start_peer(request)


def history(line: Line, start: datetime, entity_id: str = PROBE, **options: Any) -> list[dict[str, Any]]:
    asked: dict[str, Any] = {"include_start_time_state": False, "significant_changes_only": False, **options}
    found = line.result("history/history_during_period", start_time=start.isoformat(), entity_ids=[entity_id], **asked)
    return list(found.get(entity_id, []))


def recorded(line: Line, start: datetime, count: int) -> list[dict[str, Any]]:
    """Return the rows once so many are committed."""
    deadline = time.monotonic() + 20
    while len(rows := history(line, start)) < count:
        assert time.monotonic() < deadline, rows
        time.sleep(0.1)
    return rows


@pytest.fixture(scope="module")
def past(peer: Peer) -> tuple[datetime, list[dict[str, Any]], list[dict[str, Any]]]:
    """A start, the live states of four changes after it, and the rows that the recorder has of them."""
    with peer.connect() as line:
        peer.set_state(PROBE, "before", step=0)
        line.result("subscribe_events", event_type="state_changed")
        time.sleep(0.05)  # so that the start lies between two changes
        start = datetime.now(UTC)
        for step, state in enumerate(["10", "10", "11", "10.5"]):
            peer.set_state(PROBE, state, step=step)
        live = [line.event(about(PROBE))["event"]["data"]["new_state"] for _ in range(4)]
    with peer.connect() as line:
        return start, live, recorded(line, start, 4)


def test_history_rows_are_the_live_changes_to_the_microsecond(peer: Peer, past: Any) -> None:
    _start, live, rows = past

    assert [row["s"] for row in rows] == ["10", "10", "11", "10.5"]
    assert [row["a"] for row in rows] == [state["attributes"] for state in live]
    # As Home Assistant itself makes a time of its clock's seconds: `lu * 1e6` is one microsecond off now and then.
    times = [datetime.fromtimestamp(row["lu"], UTC) for row in rows]
    assert times == [datetime.fromisoformat(state["last_updated"]) for state in live]


def test_a_history_row_tells_of_last_changed_only_where_it_differs(peer: Peer, past: Any) -> None:
    _start, _live, rows = past

    always = {"s", "a", "lu"}
    assert [row.keys() for row in rows] == [always, always | {"lc"}, always, always]
    assert datetime.fromtimestamp(rows[1]["lc"], UTC) == datetime.fromtimestamp(rows[0]["lu"], UTC)


def test_significant_changes_leave_out_those_of_attributes_alone(peer: Peer, past: Any) -> None:
    start, _live, _rows = past

    with peer.connect() as line:
        rows = history(line, start, significant_changes_only=True)

    assert [row["s"] for row in rows] == ["10", "11", "10.5"]


def test_the_state_at_the_start_is_invented_at_the_asked_time(peer: Peer, past: Any) -> None:
    start, _live, _rows = past

    with peer.connect() as line:
        rows = history(line, start, include_start_time_state=True)

    assert (rows[0]["s"], datetime.fromtimestamp(rows[0]["lu"], UTC)) == ("before", start)


def test_without_attributes_rows_have_none(peer: Peer, past: Any) -> None:
    start, _live, _rows = past

    with peer.connect() as line:
        rows = history(line, start, no_attributes=True)

    assert all(not row.get("a") for row in rows)


def test_history_ends_before_the_end_time(peer: Peer, past: Any) -> None:
    start, live, rows = past

    second, third = (datetime.fromisoformat(live[number]["last_updated"]) for number in (1, 2))
    with peer.connect() as line:
        found = history(line, start, end_time=(second + (third - second) / 2).isoformat())

    assert found == rows[:2]


def test_history_of_an_unknown_entity_is_left_out_and_of_the_future_empty(peer: Peer) -> None:
    now = datetime.now(UTC)

    with peer.connect() as line:
        assert history(line, now - timedelta(minutes=1), "sensor.nobody_knows") == []
        assert history(line, now + timedelta(hours=1)) == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"start_time": "yesterday", "entity_ids": [PROBE]}, "invalid_start_time"),
        (
            {"start_time": "2026-01-01T00:00:00+00:00", "end_time": "soon", "entity_ids": [PROBE]},
            "invalid_end_time",
        ),
        ({"start_time": "2026-01-01T00:00:00+00:00", "entity_ids": ["no entity"]}, "invalid_entity_ids"),
        ({"start_time": "2026-01-01T00:00:00+00:00"}, "invalid_format"),
    ],
)
def test_history_refuses_with_these_codes(peer: Peer, fields: dict[str, Any], code: str) -> None:
    with peer.connect() as line:
        assert line.code("history/history_during_period", **fields) == code


HOURS = datetime(2025, 3, 1, 4, tzinfo=UTC)


def import_hours(line: Line, statistic_id: str, *, modern: bool, has_sum: bool, rows: list[dict[str, Any]]) -> None:
    kinds = {"mean_type": int(not has_sum), "unit_class": None} if modern else {"has_mean": not has_sum}
    about = {"has_sum": has_sum, "name": None, "source": "recorder", "statistic_id": statistic_id}
    stats = [{"start": (HOURS + timedelta(hours=hour)).isoformat(), **row} for hour, row in enumerate(rows)]
    metadata = {**about, **kinds, "unit_of_measurement": "W"}
    line.result("recorder/import_statistics", metadata=metadata, stats=stats)


def hours(line: Line, *statistic_ids: str, start: datetime, end: datetime) -> dict[str, Any]:
    asked = {"statistic_ids": list(statistic_ids), "period": "hour", "types": ["max", "mean", "min", "state", "sum"]}
    found = line.result(
        "recorder/statistics_during_period", start_time=start.isoformat(), end_time=end.isoformat(), **asked
    )
    return dict(found)


def test_hourly_statistics_are_told_by_their_start_in_milliseconds_with_null_for_what_they_have_not(
    peer: Peer,
) -> None:
    means = [{"mean": 10.5 + hour, "min": 10.0, "max": 20.0} for hour in range(4)]
    sums = [{"state": 100.0 + hour, "sum": 5.0 + hour} for hour in range(4)]
    with peer.connect() as line:
        import_hours(line, "sensor.contract_mean", modern=peer.modern, has_sum=False, rows=means)
        import_hours(line, "sensor.contract_sum", modern=peer.modern, has_sum=True, rows=sums)
        first, last = HOURS + timedelta(hours=1), HOURS + timedelta(hours=3)
        names = ("sensor.contract_mean", "sensor.contract_sum", "sensor.nobody_knows")
        deadline = time.monotonic() + 20
        while len(found := hours(line, *names, start=first, end=last)) < 2:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    start_ms = int(first.timestamp()) * 1000
    nothing = dict.fromkeys(("max", "mean", "min", "state", "sum"))
    times = [{"start": start_ms + hour * 3_600_000, "end": start_ms + (hour + 1) * 3_600_000} for hour in range(2)]
    assert found == {
        "sensor.contract_mean": [{**nothing, **time, **row} for time, row in zip(times, means[1:3], strict=True)],
        "sensor.contract_sum": [{**nothing, **time, **row} for time, row in zip(times, sums[1:3], strict=True)],
    }


def test_the_list_of_statistics_names_each_with_its_unit(peer: Peer) -> None:
    with peer.connect() as line:
        import_hours(line, "sensor.contract_listed", modern=peer.modern, has_sum=True, rows=[{"sum": 1.0}])
        deadline = time.monotonic() + 20
        while not (found := _listed(line, "sensor.contract_listed")):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    expected = {"display_unit_of_measurement": "W", "statistics_unit_of_measurement": "W", "source": "recorder"}
    assert {**found[0], **expected, "has_sum": True, "has_mean": False, "name": None} == found[0]


def _listed(line: Line, statistic_id: str) -> list[dict[str, Any]]:
    found = line.result("recorder/list_statistic_ids")
    return [one for one in found if one["statistic_id"] == statistic_id]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"start_time": "yesterday", "statistic_ids": [PROBE], "period": "hour"}, "invalid_start_time"),
        ({"statistic_ids": [PROBE], "period": "hour"}, "invalid_format"),
    ],
)
def test_statistics_refuse_with_these_codes(peer: Peer, fields: dict[str, Any], code: str) -> None:
    with peer.connect() as line:
        assert line.code("recorder/statistics_during_period", **fields) == code
