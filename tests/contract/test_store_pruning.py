"""Stores let old events go, in portions, and nothing that is not old; those that cannot say so."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ingestor import errors
from ingestor.events.event import Moment
from ingestor.settings import StorageSettings
from ingestor.storage import embedded_pruning
from ingestor.storage.port import HOUR_NS
from ingestor.storage.pruning import Outdated, Prunable, added_up
from ingestor.storage.schema import CONTEXT, OTHERS, STATES, PointBuilder
from tests.contract.test_store_contract import (
    T0_US,
    Bench,
    bench,
    called,
    database_1,
    open_url,
    place,
    state,
    states_of,
)

__all__ = ["bench", "database_1"]  # fixtures
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US


def prune(bench: Bench, before_ns: int) -> tuple[Outdated, ...]:
    """Delete until nothing is left to delete; return the sums of this home."""
    assert isinstance(bench.store, Prunable)
    found: list[Outdated] = []
    while portion := bench.store.prune(before_ns):
        found += portion
    return tuple(one for one in added_up(found) if one.home == bench.home)


def test_what_is_older_goes_and_what_is_not_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_pruning, "_ROWS", 2)
    before_ns = (T0_US + DAY_US) * 1000
    old = [(state(turn * 1000, f"{turn}"), place()) for turn in range(5)]
    bench.write_events(*old, (called(7000), place("call_service:light.turn_on")))
    edge = state(DAY_US, "at the edge", identity=0)
    bench.write_events((edge, place()), (called(DAY_US + 1), place("call_service:light.turn_on")))
    moments = [Moment(T0_US + at_us, T0_US + at_us + 60 * SECOND_US, {"is_day": True}) for at_us in (0, DAY_US)]
    bench.store.write(PointBuilder(StorageSettings()).context_points(bench.home, moments))
    assert isinstance(bench.store, Prunable)

    would_go = [one for one in bench.store.outdated(before_ns) if one.home == bench.home]
    assert [(one.events, one.first_ns // 1000 - T0_US, one.last_ns // 1000 - T0_US) for one in would_go] == [
        (6, 0, 7000)
    ]
    assert len(bench.read()) == 8

    assert prune(bench, before_ns) == tuple(would_go)
    assert states_of(bench.read(kind="state")) == ["at the edge"]
    assert len(bench.read(kind="event")) == 1
    left = bench.store.moments_between(bench.home, T0_US * 1000, before_ns + HOUR_NS)
    assert [moment.time_ns for moment in left] == [before_ns]
    assert prune(bench, before_ns) == ()


def test_several_days_go_one_after_the_other(bench: Bench) -> None:
    bench.write_events(*((state(day * DAY_US, f"{day}"), place()) for day in range(4)))

    (found,) = prune(bench, (T0_US + 3 * DAY_US) * 1000)

    assert (found.events, states_of(bench.read())) == (3, ["3"])


@contextmanager
def replayed(status: int = 204) -> Iterator[tuple[str, list[tuple[str, dict[str, str], Any]]]]:
    """A server that says of itself what an InfluxDB with one old event would, and keeps what it was asked to delete."""
    asked: list[tuple[str, dict[str, str], Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            rows = [
                {"name": STATES, "tags": {"home": "home"}, "columns": ["time", "found"], "values": [[T0_US * 1000, 1]]}
            ]
            query = parse_qs(urlsplit(self.path).query)["q"][0]
            self.answer(200, {"results": [{"series": rows if STATES in query and not asked else []}]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            parts = urlsplit(self.path)
            asked.append((parts.path, {name: one[0] for name, one in parse_qs(parts.query).items()}, json.loads(body)))
            self.answer(status, None if status == 204 else {"code": "unauthorized", "message": "no"})

        def answer(self, code: int, told: Any) -> None:
            body = b"" if told is None else json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_influxdb_2_is_asked_to_delete_a_day_of_each_measurement() -> None:
    with replayed() as (address, asked):
        store = open_url(f"influxdb2://{address}/bucket?org=our", "token")
        assert isinstance(store, Prunable)
        (found,) = store.prune((T0_US + DAY_US) * 1000)
        store.close()

    assert (found.home, found.events) == ("home", 1)
    assert {(path, params["org"], params["bucket"]) for path, params, _ in asked} == {
        ("/api/v2/delete", "our", "bucket")
    }
    assert [told["predicate"] for _, _, told in asked] == [f'_measurement="{one}"' for one in (STATES, OTHERS, CONTEXT)]
    assert {(told["start"], told["stop"]) for _, _, told in asked} == {
        ("2026-11-21T00:00:00.000000000Z", "2026-11-21T23:59:59.999999999Z")
    }


def test_who_may_not_delete_is_told_so_and_an_influxdb_3_deletes_nothing() -> None:
    with replayed(401) as (address, _):
        store = open_url(f"influxdb2://{address}/bucket?org=our", "token")
        assert isinstance(store, Prunable)
        with pytest.raises(errors.StoreRefused):
            store.prune((T0_US + DAY_US) * 1000)
        store.close()
    with replayed() as (address, asked):
        store = open_url(f"influxdb3://{address}/database", "token")
        assert isinstance(store, Prunable)
        with pytest.raises(errors.Conflict, match="give its database a retention"):
            store.prune((T0_US + DAY_US) * 1000)
        store.close()
        assert asked == []
