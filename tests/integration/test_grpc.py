"""gRPC, asked by a client that knows only reflection: what REST tells, status codes, ends of questions, memory."""

from __future__ import annotations

import io
import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pyarrow.parquet
import pytest
import zstandard
from google.protobuf import any_pb2
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status

from ingestor import errors
from ingestor.api.rpc import ingestor_pb2 as pb
from ingestor.api.rpc import service
from ingestor.export.columns import COLUMNS
from ingestor.export.protobuf_form import Event as ExportedEvent
from tests.integration.api_bench import KEY, ApiBench, api_bench, state
from tests.integration.api_home import fill
from tests.integration.endless import ask_endlessly
from tests.integration.grpc_client import KEY_SHOWN, Client, Metadata
from tests.servers import wait_until

SPAN: dict[str, Any] = {"since": "2026-11-21T02:00:00Z", "until": "2026-11-21T04:00:00Z"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiBench]:
    settings = {"grpc": {"enabled": True, "port": 0}, "api": {"key": KEY, "timeout_s": 300}}
    with api_bench(tmp_path_factory.mktemp("grpc"), settings) as made:
        fill(made)
        yield made


@pytest.fixture
def channel(bench: ApiBench) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{bench.app.state.grpc.port}") as made:
        yield made


@pytest.fixture
def client(channel: grpc.Channel) -> Client:
    return Client(channel)


def rows(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events as REST tells them, without what is not known."""
    return [
        {**event, "more": json.loads(event["more"]) if "more" in event else None, "time_unix_nano": None}
        for event in events
    ]


def told_by_rest(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for item in items:
        known = {name: one for name, one in item.items() if one is not None and name not in ("time", "more")}
        found.append({**known, "more": item["more"] or None, "time_unix_nano": None})
    return found


def started(row: dict[str, Any]) -> dict[str, Any]:
    """Return a window with its start to the second: in how many digits follow, ways differ."""
    return {**row, "start": row["start"][:19]}


def failure(call: Any) -> tuple[grpc.StatusCode, str, list[Any]]:
    """Return the status code, the name and the details that a call ends with."""
    with pytest.raises(grpc.RpcError) as failed:
        list(call) if hasattr(call, "__iter__") else call()
    status = rpc_status.from_call(failed.value)
    assert status is not None, failed.value
    reasons = [one for one in map(_info, status.details) if one]
    return failed.value.code(), reasons[0], list(status.details)


def _info(detail: any_pb2.Any) -> str:
    info = error_details_pb2.ErrorInfo()
    return info.reason if detail.Unpack(info) else ""


# -- what is told ------------------------------------------------------------------------------------------------


def test_the_service_tells_itself_by_reflection(client: Client) -> None:
    assert set(client.database.get_services()) >= {"ha_ingestor.v1.Ingestor", "grpc.health.v1.Health"}


def test_an_event_is_the_message_of_exports_field_for_field() -> None:
    ours = {field.name: (field.number, field.type) for field in pb.Event.DESCRIPTOR.fields}

    assert ours == {field.name: (field.number, field.type) for field in ExportedEvent.DESCRIPTOR.fields}
    assert len(ours) == len(COLUMNS)


def test_before_time_began_there_is_nothing(client: Client) -> None:
    asked = {"until": "1970-01-01T00:00:00Z"}

    assert not list(client.all("ReadEvents", filter=asked))
    assert json.loads(b"".join(chunk.data for chunk in client.call("Export", format="json", filter=asked))) == []


def test_the_rows_of_a_question_are_the_same_by_every_way(bench: ApiBench, client: Client) -> None:
    asked = {"area": "Kitchen", **SPAN}
    rest = bench.get("/api/v1/events", order="oldest", limit=1000, **asked)["items"]
    filters: dict[str, Any] = {"filter": {"area": ["Kitchen"], **SPAN}}
    listed = client.one("ListEvents", order="ORDER_OLDEST", page_size=1000, **filters)["events"]
    read = [event for batch in client.all("ReadEvents", **filters) for event in batch["events"]]
    exported = b"".join(chunk.data for chunk in client.call("Export", format="json", **filters))
    over_http = bench.client.get("/api/v1/export/json", params=asked).content
    query = 'query ($since: Time, $until: Time) { events(filter: {area: ["Kitchen"], since: $since, until: $until}, '
    query += "order: OLDEST, first: 1000) { nodes { eventId time state value more } } }"
    graph = bench.client.post("/graphql", json={"query": query, "variables": SPAN}).json()["data"]["events"]["nodes"]

    assert len(rest) == 60
    assert rows(listed) == rows(read) == told_by_rest(rest)
    assert exported == over_http
    assert [one["event_id"] for one in json.loads(exported)] == [one["event_id"] for one in rest]
    shared = [(one["event_id"], one["time"], one["state"], one["value"], one["more"]) for one in rest]
    assert [(one["eventId"], one["time"], one["state"], one["value"], one["more"]) for one in graph] == shared
    assert [int(one["time_unix_nano"]) for one in listed] == sorted(int(one["time_unix_nano"]) for one in read)


def test_pages_lead_on_with_the_cursors_of_rest(bench: ApiBench, client: Client) -> None:
    token, found = "", list[str]()
    while True:
        page = client.one("ListEvents", filter={"entity": "sensor.*"}, page_size=25, page_token=token)
        found += [event["event_id"] for event in page["events"]]
        params: dict[str, Any] = {"entity": "sensor.*", "limit": 25, **({"cursor": token} if token else {})}
        assert bench.get("/api/v1/events", **params)["next"] == page.get("next_page_token")
        if not (token := page.get("next_page_token", "")):
            break

    assert len(found) == len(set(found)) == 60


def test_large_events_come_in_more_messages_and_none_is_too_large_for_a_client(bench: ApiBench, client: Client) -> None:
    bench.write(*(state(7200 + number, "text.large", "x" * 50_000) for number in range(100)))
    filters: dict[str, Any] = {"filter": {"entity": "text.large"}}
    token, pages = "", list[int]()
    while not pages or token:
        page = client.one("ListEvents", page_size=1000, page_token=token, **filters)
        pages.append(len(page["events"]))
        token = page.get("next_page_token", "")

    read = [len(batch["events"]) for batch in client.all("ReadEvents", **filters)]

    assert sum(pages) == sum(read) == 100
    assert max(*pages, *read) < 60


def test_the_past_is_told_raw_and_by_windows(bench: ApiBench, client: Client) -> None:
    params = {"entity": "sensor.kitchen", **SPAN}
    states = [one for batch in client.all("ReadHistory", entity=["sensor.kitchen"], **SPAN) for one in batch["states"]]
    how: dict[str, Any] = {
        "window": "15m",
        "aggregate": ["AGGREGATE_MEAN", "AGGREGATE_TIME_WEIGHTED_MEAN", "AGGREGATE_DURATION"],
    }
    batches = client.all("ReadHistory", entity=["sensor.kitchen"], fill="FILL_NULL", **how, **SPAN)
    windows = [one for batch in batches for one in batch["windows"]]

    told = bench.get("/api/v1/events/history", **params)["items"]
    assert [(one["state"], one["value"]) for one in states] == [(one["state"], one["value"]) for one in told]
    more: dict[str, Any] = {"window": "15m", "aggregate": ["mean", "time_weighted_mean", "duration"], "fill": "null"}
    expected = bench.get("/api/v1/events/history", **params, **more)["items"]
    known = [{name: one for name, one in row.items() if one not in (None, {})} for row in expected]
    assert [started(row) for row in windows] == [started(row) for row in known]
    assert len(windows) == 8


@pytest.mark.parametrize("name", ["json", "ndjson", "csv", "arrow", "avro", "protobuf", "lineprotocol"])
def test_a_file_is_that_of_http(bench: ApiBench, client: Client, name: str) -> None:
    chunks = list(client.call("Export", format=name, filter={"kind": "EVENT_KIND_STATE"}))

    over_http = bench.client.get(f"/api/v1/export/{name}", params={"kind": "state"})
    # Avro has a mark between its blocks that is made by chance.
    size, whole = len(over_http.content), b"".join(chunk.data for chunk in chunks)
    assert whole == over_http.content if name != "avro" else len(whole) == size
    assert chunks[0].media_type == over_http.headers["content-type"]


def test_a_file_is_packed_and_read_by_others(client: Client) -> None:
    packed = b"".join(one.data for one in client.call("Export", format="csv", compression="zstd", limit=7))
    parquet = b"".join(one.data for one in client.call("Export", format="parquet", filter={"area": ["Kitchen"]}))

    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed).count(b"\n") == 8
    assert pyarrow.parquet.read_table(io.BytesIO(parquet)).num_rows == 60


def test_ledger_and_gaps_are_told(bench: ApiBench, client: Client) -> None:
    span: dict[str, Any] = {"since": "2026-11-20T00:00:00Z", "until": "2026-11-23T00:00:00Z"}

    ledger, gaps = client.one("GetLedger", **span), client.one("ListGaps", limit=5)

    rest = bench.get("/api/v1/ledger", **span)
    assert (ledger["verdict"], ledger["total"]["received"]) == (rest["verdict"], str(rest["total"]["received"]))
    assert [one["counts"]["lost"] for one in ledger["rows"]] == [str(one["lost"]) for one in rest["rows"]]
    assert [one["gap_id"] for one in gaps["items"]] == [one["gap_id"] for one in bench.get("/api/v1/gaps")["items"]]
    assert gaps["waiting"] == "1"


# -- who may, and what cannot be -----------------------------------------------------------------------------------


def test_nobody_comes_in_without_the_key_and_health_needs_none(channel: grpc.Channel, client: Client) -> None:
    for shown in ((), (("authorization", "Bearer another key that is long enough"),)):
        code, name, _ = failure(client.call("ReadEvents", metadata=shown))
        assert (code, name) == (grpc.StatusCode.UNAUTHENTICATED, "key-needed")
    with pytest.raises(grpc.RpcError) as failed:
        Client(channel, metadata=()).database.get_services()
    assert failed.value.code() is grpc.StatusCode.UNAUTHENTICATED
    by_other_header = client.call("ListEvents", page_size=1, metadata=(("x-api-key", "the key of the tests"),))
    assert len(by_other_header.events) == 1

    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", "ha_ingestor.v1.Ingestor"):
        wait_until(
            lambda name=name: (  # type: ignore[misc] # what it is bound to
                health.Check(health_pb2.HealthCheckRequest(service=name), timeout=60).status
                == health_pb2.HealthCheckResponse.SERVING
            ),
            timeout_s=60,
            what="health",
        )
    watched = health.Watch(health_pb2.HealthCheckRequest(service=""), timeout=60)
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
    watched.cancel()


@pytest.mark.parametrize(
    ("method", "request_", "code", "name"),
    [
        ("ListEvents", {"page_size": 1001}, grpc.StatusCode.INVALID_ARGUMENT, "unanswerable"),
        ("ListEvents", {"page_token": "nonsense"}, grpc.StatusCode.INVALID_ARGUMENT, "unanswerable"),
        ("ListEvents", {"filter": {"entity": "x" * 300}}, grpc.StatusCode.INVALID_ARGUMENT, "invalid"),
        ("ReadEvents", {"filter": {"domain": ["\x00"]}}, grpc.StatusCode.INVALID_ARGUMENT, "invalid"),
        ("ReadEvents", {"limit": -1}, grpc.StatusCode.INVALID_ARGUMENT, "unanswerable"),
        ("ReadHistory", {}, grpc.StatusCode.INVALID_ARGUMENT, "invalid"),
        ("ReadHistory", {"entity": ["a.b"], "fill": "FILL_ZERO"}, grpc.StatusCode.INVALID_ARGUMENT, "unanswerable"),
        ("Export", {}, grpc.StatusCode.INVALID_ARGUMENT, "unanswerable"),
        ("Export", {"format": "xlsx"}, grpc.StatusCode.NOT_FOUND, "not-found"),
        ("Export", {"format": "csv", "compression": "zip"}, grpc.StatusCode.INVALID_ARGUMENT, "unanswerable"),
        ("Subscribe", {"cursor": "nonsense"}, grpc.StatusCode.INVALID_ARGUMENT, "invalid"),
        ("Subscribe", {"filter": {"home": ["nobody"]}}, grpc.StatusCode.NOT_FOUND, "not-found"),
        ("Subscribe", {"sample": 2.0}, grpc.StatusCode.INVALID_ARGUMENT, "unanswerable"),
        ("Subscribe", {"max_per_s": "Infinity"}, grpc.StatusCode.INVALID_ARGUMENT, "unanswerable"),
        ("Subscribe", {"max_per_s": "NaN"}, grpc.StatusCode.INVALID_ARGUMENT, "unanswerable"),
        ("ListGaps", {"limit": -1}, grpc.StatusCode.INVALID_ARGUMENT, "unanswerable"),
    ],
)
def test_what_cannot_be_answered_has_a_status_and_a_name(
    client: Client, method: str, request_: dict[str, Any], code: grpc.StatusCode, name: str
) -> None:
    if method.startswith(("List", "Get")):
        told = failure(lambda: client.call(method, **request_))
    else:
        told = failure(client.call(method, **request_))

    assert told[:2] == (code, name)


@pytest.mark.parametrize(
    ("method", "metadata"),
    [
        ("ha_ingestor.v1.Ingestor/ListEvents", KEY_SHOWN),
        ("ha_ingestor.v1.Ingestor/ReadEvents", KEY_SHOWN),
        ("grpc.health.v1.Health/Check", ()),
        ("grpc.health.v1.Health/Watch", ()),
    ],
)
def test_what_is_no_message_is_invalid_and_leaves_no_traceback(
    channel: grpc.Channel, caplog: pytest.LogCaptureFixture, method: str, metadata: Metadata
) -> None:
    if method.endswith(("ReadEvents", "Watch")):
        call = channel.unary_stream(f"/{method}")(b"\xff\xff", timeout=60, metadata=metadata)
        told = failure(call)
    else:
        told = failure(lambda: channel.unary_unary(f"/{method}")(b"\xff\xff", timeout=60, metadata=metadata))

    assert told[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "invalid")
    assert "DecodeError" not in caplog.text


def test_what_is_no_message_ends_reflection_as_invalid_and_leaves_no_traceback(
    channel: grpc.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    ask = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    services = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()

    answers = ask(iter([services, b"\xff\xff"]), timeout=60, metadata=KEY_SHOWN)

    assert b"ha_ingestor.v1.Ingestor" in next(answers)
    assert failure(answers)[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "invalid")
    assert "DecodeError" not in caplog.text
    assert "Traceback" not in caplog.text


def test_a_bad_filter_says_which_part_is_wrong(client: Client) -> None:
    *_, details = failure(lambda: client.call("ListEvents", filter={"area": ["x" * 300]}))

    request = error_details_pb2.BadRequest()
    assert any(detail.Unpack(request) for detail in details)
    assert [one.field for one in request.field_violations] == ["area.0"]


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("ListEvents", {"filter": {"kind": 99}}, "filter.kind"),
        ("ListEvents", {"order": -1}, "order"),
        ("ReadEvents", {"filter": {"kind": 99}}, "filter.kind"),
        ("Export", {"format": "csv", "filter": {"kind": 99}}, "filter.kind"),
        ("ReadHistory", {"entity": ["sensor.kitchen"], "aggregate": ["AGGREGATE_MEAN", 99]}, "aggregate.1"),
        ("ReadHistory", {"entity": ["sensor.kitchen"], "window": "1h", "fill": 99}, "fill"),
        ("Subscribe", {"policy": 99}, "policy"),
    ],
)
def test_a_value_that_an_enum_does_not_have_is_refused_and_not_left_out(
    client: Client, method: str, request_: dict[str, Any], field: str
) -> None:
    def ask() -> Any:
        call = client.call(method, **request_)
        return list(call) if hasattr(call, "__iter__") else call

    code, name, details = failure(ask)

    assert (code, name) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid")
    request = error_details_pb2.BadRequest()
    assert any(detail.Unpack(request) for detail in details)
    assert [one.field for one in request.field_violations] == [field]


def test_what_nobody_foresaw_is_hidden_and_other_failures_are_named(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise next(failures)

    failures = iter([RuntimeError("a secret"), errors.StoreUnavailable("the disk is away")])
    monkeypatch.setattr(service, "gaps_of", fail)
    with pytest.raises(grpc.RpcError) as failed:
        client.call("ListGaps")
    assert failed.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in failed.value.details()

    code, name, details = failure(lambda: client.call("ListGaps"))
    assert (code, name) == (grpc.StatusCode.UNAVAILABLE, "unavailable")
    retry = error_details_pb2.RetryInfo()
    assert any(one.Unpack(retry) for one in details)
    assert retry.retry_delay.seconds >= 1


def test_a_request_that_is_too_long_is_refused(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        client.call("ListEvents", filter={"domain": ["x" * 200] * 2000})

    assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


# -- ends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["deadline", "cancel"])
def test_the_stores_question_ends_with_the_call(client: Client, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    client.one("ListEvents", page_size=1)  # what is asked first opens what is asked
    question = ask_endlessly(monkeypatch)
    call = client.call("ReadEvents", timeout=1.0 if end == "deadline" else 600)
    while not question.begun.wait(10):  # on a busy machine the deadline may be over before it was asked
        call = client.call("ReadEvents", timeout=1.0 if end == "deadline" else 600)
    if end == "cancel":
        call.cancel()

    with pytest.raises(grpc.RpcError) as failed:
        list(call)
    # Long before `api.timeout_s`, which would end it, too.
    assert question.ended.wait(60)

    expected = {"deadline": grpc.StatusCode.DEADLINE_EXCEEDED, "cancel": grpc.StatusCode.CANCELLED}
    assert failed.value.code() is expected[end]
    monkeypatch.undo()
    assert client.one("ListEvents", page_size=1)["events"]


def test_who_reads_slowly_holds_up_the_reading_and_no_memory(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made = itertools.count()
    taken: list[int] = []
    given_up = threading.Event()

    def chunks(*_: Any) -> Iterator[Any]:
        try:
            for number in made:
                taken.append(number)
                yield pb.ExportChunk(data=bytes(service.PIECE))
        finally:
            given_up.set()

    monkeypatch.setattr(service, "_chunks", chunks)
    call = client.call("Export", format="csv", timeout=600)
    next(call)
    seen = -1

    def stands_still() -> bool:
        nonlocal seen
        before, seen = seen, len(taken)
        return before == seen

    wait_until(stands_still, timeout_s=60, what="nothing more being read", poll_every_s=1.0)

    assert len(taken) * service.PIECE < 64 * 1024 * 1024
    call.cancel()
    assert given_up.wait(60)
