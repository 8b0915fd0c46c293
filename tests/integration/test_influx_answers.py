"""What the InfluxDB stores make of every answer: 2.x and 3.x replayed, VictoriaMetrics real for the request itself."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ingestor import errors
from ingestor.events.point import Point
from ingestor.settings import StorageSettings
from ingestor.storage.open import open_store
from ingestor.storage.port import Store
from tests.fakes import influx_answers as fakes
from tests.fakes.influx_answers import FakeInflux, Reply
from tests.servers import wait_until
from tests.servers_stores import VictoriaMetrics

VERSIONS = ["influxdb1", "influxdb2", "influxdb3"]
TOO_MANY_DATABASES = "Adding a new database would exceed limit of 5 databases"
EACH_LINE = {"original_line": "home_assistant_event", "line_number": 1, "error_message": TOO_MANY_DATABASES}


@pytest.fixture
def fake() -> Iterator[FakeInflux]:
    with fakes.serve() as server:
        yield server


def open_at(version: str, port: int, **settings: Any) -> Store:
    options = "?org=our%20home" if version == "influxdb2" else ""
    wanted = {"url": f"{version}://127.0.0.1:{port}/events{options}", "token": "secret", **settings}
    return open_store(StorageSettings.model_validate(wanted), Path("unused"))


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(fake: FakeInflux, version: str) -> Iterator[Store]:
    opened = open_at(version, fake.port, timeout_s=5)
    yield opened
    opened.close()


def points(count: int, *, bad: tuple[int, ...] = (), size: int = 0) -> list[Point]:
    return [
        Point(
            "home_assistant_events",
            (("home", "home"), ("series", f"sensor.s{number}")),
            {"value": "warm"} if number in bad else {"value": float(number)} | ({"text": "x" * size} if size else {}),
            1_000 + number,
        )
        for number in range(count)
    ]


def is_bad(line: str) -> bool:
    return '"warm"' in line


def kept(fake: FakeInflux) -> list[str]:
    """The lines that are stored, once each however often they were written."""
    return sorted(set(fake.stored))


def test_a_204_is_stored_in_one_request(fake: FakeInflux, store: Store) -> None:
    result = store.write(points(500))

    assert (result.written, result.rejected) == (500, [])
    assert [len(request.lines) for request in fake.requests] == [500]


@pytest.mark.parametrize("gzip", [True, False])
def test_a_write_is_addressed_as_each_version_wants_it(fake: FakeInflux, version: str, gzip: bool) -> None:
    store = open_at(version, fake.port, gzip=gzip, token="user:secret" if version == "influxdb1" else "secret")

    store.write(points(1))
    store.close()

    (request,) = fake.requests
    expected = {
        "influxdb1": ("/write", {"db": "events", "precision": "ns"}, "Basic dXNlcjpzZWNyZXQ="),
        "influxdb2": ("/api/v2/write", {"org": "our home", "bucket": "events", "precision": "ns"}, "Token secret"),
        "influxdb3": (
            "/api/v3/write_lp",
            {"db": "events", "precision": "nanosecond", "accept_partial": "true"},
            "Bearer secret",
        ),
    }
    assert (request.path, request.params, request.headers["Authorization"]) == expected[version]
    assert (request.headers.get("Content-Encoding") == "gzip") is gzip
    assert request.lines == ["home_assistant_events,home=home,series=sensor.s0 value=0.0 1000"]


def test_a_version_3_without_its_own_endpoint_is_written_to_as_2(fake: FakeInflux) -> None:
    def only_v2(request: fakes.Request) -> Reply:
        return fakes.all_good(request) if request.path == "/api/v2/write" else Reply(404, "404 page not found")

    fake.behaviour = only_v2
    store = open_at("influxdb3", fake.port)

    assert store.write(points(2)).written == 2
    assert store.write(points(2)).written == 2
    assert [request.path for request in fake.requests] == ["/api/v3/write_lp", "/api/v2/write", "/api/v2/write"]
    assert fake.requests[-1].params == {"bucket": "events", "precision": "ns"}


@pytest.mark.parametrize("behaviour", [fakes.malformed_2, fakes.conflict_2, fakes.partial_3])
@pytest.mark.parametrize("bad", [(0,), (9,), (3, 4), (0, 5, 9), tuple(range(10))])
def test_bad_lines_are_rejected_alone_whatever_the_version_says_of_them(
    fake: FakeInflux, store: Store, behaviour: Any, bad: tuple[int, ...]
) -> None:
    fake.behaviour = behaviour(is_bad)

    result = store.write(points(10, bad=bad))

    assert sorted(rejection.index for rejection in result.rejected) == list(bad)
    assert all(f"`sensor.s{rejection.index}` " in rejection.detail for rejection in result.rejected)
    reason = "unparsable_line" if behaviour is fakes.malformed_2 else "field_type_conflict"
    assert {rejection.reason for rejection in result.rejected} == {reason}
    assert result.written == 10 - len(bad)
    assert len(kept(fake)) == 10 - len(bad)
    assert not any(is_bad(line) for line in kept(fake))


def test_lines_that_version_3_names_are_found_in_two_requests(fake: FakeInflux) -> None:
    fake.behaviour = fakes.partial_3(is_bad)

    open_at("influxdb3", fake.port).write(points(500, bad=(7, 77, 377)))

    assert [len(request.lines) for request in fake.requests] == [500, 497]


def test_numbers_that_count_the_lines_within_a_text_blame_no_neighbour(fake: FakeInflux) -> None:
    fake.behaviour = fakes.partial_3(is_bad)
    several = points(10, bad=(4,))
    several[1].fields["state"] = "a text\nof three\nlines"

    result = open_at("influxdb3", fake.port).write(several)

    assert [rejection.index for rejection in result.rejected] == [4]


def test_a_server_that_names_one_line_at_a_time_is_asked_as_often_as_it_takes(fake: FakeInflux) -> None:
    def first_one(request: fakes.Request) -> Reply:
        reply = fakes.partial_3(is_bad)(request)
        return reply if reply.status == 204 else Reply(400, {**dict(reply.body), "data": reply.body["data"][:1]})  # type: ignore[arg-type, index]  # a 400 has a dict

    fake.behaviour = first_one
    bad = tuple(range(120))

    result = open_at("influxdb3", fake.port).write(points(121, bad=bad))

    assert sorted(rejection.index for rejection in result.rejected) == list(bad)
    assert len(kept(fake)) == 1


def test_more_bad_lines_than_version_3_names_are_all_found(fake: FakeInflux) -> None:
    fake.behaviour = fakes.partial_3(is_bad)
    bad = tuple(range(0, 300, 2))

    result = open_at("influxdb3", fake.port).write(points(300, bad=bad))

    assert tuple(sorted(rejection.index for rejection in result.rejected)) == bad
    assert len(kept(fake)) == 150


@pytest.mark.parametrize(
    "body",
    [
        {"error": "partial write", "data": [{"line_number": 99, "error_message": "x"}]},
        {"error": "partial write", "data": [{"line_number": "1", "error_message": "x"}]},
        {"error": "partial write", "data": ["rubbish"]},
        {"error": "partial write", "data": []},
        "no json at all",
        "",
    ],
)
def test_an_answer_that_cannot_be_trusted_leads_to_a_search(fake: FakeInflux, store: Store, body: Any) -> None:
    def answer(request: fakes.Request) -> Reply:
        bad = any(is_bad(line) for line in request.lines)
        return Reply(400, body) if bad else fakes.all_good(request)

    fake.behaviour = answer

    result = store.write(points(8, bad=(5,)))

    assert [(rejection.index, rejection.reason) for rejection in result.rejected] == [(5, "refused_by_store")]
    assert len(kept(fake)) == 7


def test_the_points_after_a_bad_one_keep_their_places_over_several_requests(
    fake: FakeInflux, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestor.storage.influx._MAX_LINES", 10)
    fake.behaviour = fakes.conflict_2(is_bad)
    empty = points(1)[0]
    empty.fields = {"value": float("nan")}

    result = store.write([empty, *points(35, bad=(0, 12, 34))])

    assert [rejection.index for rejection in result.rejected] == [0, 1, 13, 35]
    assert result.written == 32


def test_too_much_at_once_is_cut_until_it_fits(fake: FakeInflux, store: Store) -> None:
    fake.behaviour = fakes.too_large_beyond(100)

    result = store.write(points(1_000))

    assert (result.written, result.rejected) == (1_000, [])
    assert len(kept(fake)) == 1_000


def test_a_line_that_is_too_large_alone_is_rejected(fake: FakeInflux, store: Store) -> None:
    fake.behaviour = fakes.too_large_beyond(0)

    result = store.write(points(2))

    assert [rejection.index for rejection in result.rejected] == [0, 1]
    assert "too large" in result.rejected[0].detail


def test_requests_stay_small_in_lines_and_bytes(fake: FakeInflux, store: Store) -> None:
    store.write(points(5_001))
    store.write(points(150, size=60_000))

    assert [len(request.lines) for request in fake.requests] == [5_000, 1, 66, 66, 18]


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_unavailable_for_as_long_as_it_says(fake: FakeInflux, store: Store, status: int) -> None:
    fake.behaviour = fakes.fixed(status, {"code": "unavailable", "message": "too busy"}, Retry_After="17")

    with pytest.raises(errors.StoreUnavailable, match="too busy") as caught:
        store.write(points(10))

    assert caught.value.retry_after_s == 17
    assert len(fake.requests) == 1


@pytest.mark.parametrize("retry_after", ["", "soon", "-3", "Wed, 41 Foo 2026 07:28:00 GMT", "9" * 400])
def test_a_retry_after_that_cannot_be_read_is_left_to_us(fake: FakeInflux, store: Store, retry_after: str) -> None:
    fake.behaviour = fakes.fixed(503, "busy", Retry_After=retry_after)

    with pytest.raises(errors.StoreUnavailable) as caught:
        store.write(points(1))

    assert caught.value.retry_after_s is None


def test_a_retry_after_that_is_a_time_is_read_by_the_servers_own_clock(fake: FakeInflux, store: Store) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    fake.behaviour = fakes.fixed(503, "busy", Retry_After=soon)

    with pytest.raises(errors.StoreUnavailable) as caught:
        store.write(points(1))

    assert 60 <= (caught.value.retry_after_s or 0) <= 90


@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_what_may_pass_is_unavailable(fake: FakeInflux, store: Store, status: int) -> None:
    fake.behaviour = fakes.fixed(status, "<html>gateway</html>")

    with pytest.raises(errors.StoreUnavailable):
        store.write(points(3))


@pytest.mark.parametrize(
    ("status", "body", "setting"),
    [
        (401, {"code": "unauthorized", "message": "unauthorized access"}, r"storage\.token"),
        (403, {"code": "forbidden", "message": "insufficient permissions for write"}, r"storage\.token"),
        (404, {"code": "not found", "message": 'bucket "events" not found'}, r"storage\.url"),
        (200, "<html>welcome to the router</html>", r"storage\.url"),
        (202, "", r"storage\.url"),
        (405, "Method Not Allowed", r"storage\.url"),
        (400, {"error": "db name did not start with a number or letter", "data": None}, "did not start"),
        (400, {"error": "invalid character in database or rp name: must be ASCII, …"}, "invalid character"),
        (422, {"error": TOO_MANY_DATABASES, "data": None}, "limit of 5 databases"),
        (422, {"error": "partial write of line protocol occurred", "data": [EACH_LINE]}, "limit of 5 databases"),
    ],
)
def test_what_settings_must_cure_is_refused(
    fake: FakeInflux, store: Store, status: int, body: Any, setting: str
) -> None:
    fake.behaviour = fakes.fixed(status, body)

    with pytest.raises(errors.StoreRefused, match=setting):
        store.write(points(3))

    assert fake.stored == []


def test_words_about_the_database_within_a_line_are_that_lines_fault(fake: FakeInflux, store: Store) -> None:
    fake.behaviour = fakes.malformed_2(lambda line: TOO_MANY_DATABASES in line)
    quoting = points(3)
    quoting[1].fields["state"] = f"db name {TOO_MANY_DATABASES}"

    result = store.write(quoting)

    assert [rejection.index for rejection in result.rejected] == [1]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_since_a_get_would_say_yes(fake: FakeInflux, store: Store, status: int) -> None:
    fake.behaviour = fakes.fixed(status, "", Location=f"http://127.0.0.1:{fake.port}/elsewhere")

    with pytest.raises(errors.StoreRefused, match="elsewhere"):
        store.write(points(3))

    assert len(fake.requests) == 1


@pytest.mark.parametrize("cut_after", [0, 5])
def test_an_answer_that_is_cut_off_is_no_answer(fake: FakeInflux, store: Store, cut_after: int) -> None:
    fake.behaviour = lambda _: Reply(400, {"error": "partial write", "data": []}, cut_after=cut_after)

    with pytest.raises(errors.StoreUnavailable):
        store.write(points(3))


def test_an_answer_that_does_not_come_is_waited_for_only_so_long(fake: FakeInflux, version: str) -> None:
    fake.behaviour = fake.stall
    store = open_at(version, fake.port, timeout_s=0.2)

    with pytest.raises(errors.StoreUnavailable):
        store.write(points(3))


def test_a_store_that_was_away_takes_the_same_points_afterwards(fake: FakeInflux, store: Store) -> None:
    fake.behaviour = fakes.fixed(503)
    with pytest.raises(errors.StoreUnavailable):
        store.write(points(3))

    fake.behaviour = fakes.all_good

    assert store.write(points(3)).written == 3


def test_check_tries_a_write_without_any_line(fake: FakeInflux, store: Store) -> None:
    assert store.check(write=True).version == "2.7.12"
    (request,) = fake.requests
    assert request.lines == []

    fake.behaviour = fakes.fixed(400, {"code": "invalid", "message": "writing requires points"})
    store.check(write=True)

    fake.behaviour = fakes.fixed(401, {"code": "unauthorized", "message": "unauthorized access"})
    with pytest.raises(errors.StoreRefused):
        store.check(write=True)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("partial write: field type conflict: input field …", "field_type_conflict"),
        (
            "invalid column type for column 'value', expected iox::column_type::field::float, got …",
            "field_type_conflict",
        ),
        (
            "Field type mismatch on table home_assistant_events column value. Existing column is …",
            "field_type_conflict",
        ),
        ("Series key mismatch on table home_assistant_events. Existing table has …", "other_tags_than_before"),
        ("Update to schema would exceed number of tables limit of 2000 tables", "too_many_tables"),
        ("Update to schema would exceed number of tag columns per table limit of 250 columns", "too_many_columns"),
        ("partial write: points beyond retention policy dropped=1", "beyond_retention"),
        ("partial write: max-series-per-database limit exceeded: (1000000) dropped=1", "too_many_series"),
        ("something new", "refused_by_store"),
    ],
)
def test_what_a_store_says_of_a_line_has_a_short_name_to_group_by(fake: FakeInflux, message: str, reason: str) -> None:
    fake.behaviour = fakes.fixed(400, {"error": message})

    (rejection,) = open_at("influxdb1", fake.port).write(points(1)).rejected

    assert rejection.reason == reason
    assert rejection.detail.startswith("`sensor.s0`")
    assert message in rejection.detail


def exported(server: VictoriaMetrics, name: str) -> list[dict[str, Any]]:
    server.flush()
    match = quote(f'{{__name__="{name}"}}')
    with urllib.request.urlopen(f"{server.url}/api/v1/export?match[]={match}", timeout=10) as answer:
        return [json.loads(line) for line in answer.read().splitlines()]


@pytest.mark.parametrize("gzip", [True, False])
def test_numbers_written_through_influxdb_client_are_in_victoria_metrics(
    victoria_metrics: VictoriaMetrics, gzip: bool
) -> None:
    measurement = f"answers_{gzip}".lower()
    tags = (("area", "Living room, south=warm"), ("series", 'sensor."x"'))
    store = open_at("influxdb2", victoria_metrics.port, gzip=gzip)

    result = store.write(
        [Point(measurement, tags, {"value": 20.5 + n}, 1_795_229_244_000_000_000 + n * 1_000_000) for n in range(3)]
    )
    store.close()

    assert result.written == 3
    wait_until(lambda: bool(exported(victoria_metrics, f"{measurement}_value")), timeout_s=60, what="numbers there")
    (series,) = exported(victoria_metrics, f"{measurement}_value")
    assert {"area": "Living room, south=warm", "series": 'sensor."x"'}.items() <= series["metric"].items()
    assert series["values"] == [20.5, 21.5, 22.5]
    assert series["timestamps"] == [1_795_229_244_000, 1_795_229_244_001, 1_795_229_244_002]


def test_a_line_that_is_too_long_for_victoriametrics_is_rejected_alone(victoria_metrics: VictoriaMetrics) -> None:
    store = open_at("influxdb2", victoria_metrics.port)
    several = points(4)
    several[2].fields["text"] = "x" * 600_000

    result = store.write(several)

    assert [(fault.index, fault.reason) for fault in result.rejected] == [(2, "line_too_long")]
    assert result.rejected[0].detail.startswith("`sensor.s2` is longer than the store takes in one line")
