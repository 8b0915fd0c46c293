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
