"""`/api/v1/export/{format}` over HTTP: all rows, packed as asked for; readers that go away or stand still."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import fastavro
import httpx2
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf.proto import parse_length_prefixed

from ingestor import errors
from ingestor.api.v1 import exports
from ingestor.export.forms import FORMS
from ingestor.export.protobuf_form import Event as Message
from ingestor.export.reading import portions
from tests.integration.api_bench import KEY, T0_US, ApiBench, api_bench, called, served, state
from tests.servers import wait_until

EXPORT = "/api/v1/export"
COUNT = 20_000
ROWS_IN: dict[str, Callable[[bytes], int]] = {
    "json": lambda data: len(orjson.loads(data)),
    "ndjson": lambda data: len(data.splitlines()),
    "csv": lambda data: len(data.splitlines()) - 1,
    "parquet": lambda data: int(pq.read_table(io.BytesIO(data)).num_rows),
    "arrow": lambda data: int(pa.ipc.open_stream(data).read_all().num_rows),
    "avro": lambda data: sum(1 for _ in fastavro.reader(io.BytesIO(data))),
    "lineprotocol": lambda data: len(data.splitlines()),
    "protobuf": lambda data: len(list(messages(data))),
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiBench]:
    with api_bench(tmp_path_factory.mktemp("exports")) as bench:
        kitchen = {"area": "Kitchen", "device": "Climate", "device_class": "temperature"}
        for first in range(0, COUNT, 4000):
            bench.write(*(state(n / 10, "sensor.kitchen", f"{n}", place=kitchen) for n in range(first, first + 4000)))
        bench.write(state(COUNT, "light.hall", place={"area": "Hall"}), called(COUNT + 1, "light.hall"))
        yield bench


@pytest.fixture(scope="module")
def address(api: ApiBench) -> Iterator[str]:
    with served(api.app) as found:
        yield found


def messages(data: bytes) -> Iterator[Any]:
    source = io.BytesIO(data)
    while (message := parse_length_prefixed(Message, source)) is not None:
        yield message


def get(api: ApiBench, form: str, encoding: str = "identity", **params: Any) -> httpx2.Response:
    answer: httpx2.Response = api.client.get(f"{EXPORT}/{form}", params=params, headers={"Accept-Encoding": encoding})
    assert answer.status_code == 200, answer.text
    return answer


def test_every_form_has_its_type_and_name_and_all_rows(api: ApiBench) -> None:
    rows: dict[str, int] = {}
    for name, form in FORMS.items():
        answer = get(api, name)
        assert answer.headers["content-type"].partition(";")[0] == form.media_type.partition(";")[0]
        assert answer.headers["content-disposition"].endswith(f'.{form.suffix}"')
        rows[name] = ROWS_IN[name](answer.content)

    assert rows == dict.fromkeys(FORMS, COUNT + 2)


@pytest.mark.parametrize(
    ("asked", "packed"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0", "gzip"),
        ("br", None),
        ("identity", None),
        ("*", None),
    ],
)
def test_a_file_is_packed_as_the_reader_takes_it(api: ApiBench, asked: str, packed: str | None) -> None:
    answer = get(api, "ndjson", encoding=asked, limit=100)

    assert answer.headers.get("content-encoding") == packed
    assert len(answer.content.splitlines()) == 100  # the client has unpacked it
    assert answer.headers["vary"] == "Accept-Encoding"


def test_what_is_packed_already_is_not_packed_again(api: ApiBench) -> None:
    assert "content-encoding" not in get(api, "parquet", encoding="zstd, gzip").headers


def test_the_filters_are_those_of_events(api: ApiBench) -> None:
    found = [orjson.loads(line) for line in get(api, "ndjson", area="Kitchen", limit=3).content.splitlines()]
    others = [orjson.loads(line) for line in get(api, "ndjson", entity="light.*").content.splitlines()]

    assert [one["state"] for one in found] == ["0", "1", "2"]
    assert {one["entity_id"] for one in others} == {"light.hall"}
    assert orjson.loads(get(api, "json", entity="nobody.*").content) == []


@pytest.mark.parametrize("until", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_before_time_began_there_is_nothing(api: ApiBench, until: str) -> None:
    assert orjson.loads(get(api, "json", until=until).content) == []


def test_what_a_clock_that_is_ahead_has_stored_is_exported_where_it_is_asked_for(api: ApiBench) -> None:
    ahead_s = int(time.time() + 3600) - T0_US // 1_000_000
    api.write(state(ahead_s, "light.ahead"), state(ahead_s + 40 * 86_400, "light.ahead"))

    def lines(**asked: str) -> int:
        return len(get(api, "ndjson", entity="light.ahead", **asked).content.splitlines())

    assert (lines(), lines(until="2099-01-01T00:00:00Z")) == (0, 2)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/xlsx", 422),
        ("/csv?limit=0", 422),
        ("/csv?since=yesterday", 422),
        ("/csv?colour=red", 422),
        ("/csv?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", 400),
    ],
)
def test_bad_questions_are_answered_as_problems(api: ApiBench, path: str, status: int) -> None:
    answer = api.client.get(EXPORT + path)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_without_the_key_there_is_no_file(api: ApiBench) -> None:
    assert api.client.get(f"{EXPORT}/csv", headers={"X-API-Key": ""}).status_code == 401


def test_a_store_that_is_away_is_a_problem_and_no_short_file(api: ApiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Iterator[Any]:
        raise errors.StoreUnavailable("the store is away")
        yield

    monkeypatch.setattr(exports, "portions", away)
    answer = api.client.get(f"{EXPORT}/parquet")

    assert (answer.status_code, answer.json()["detail"]) == (503, "the store is away")


def test_a_store_that_goes_away_in_the_middle_leaves_no_whole_file(
    api: ApiBench, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(*given: Any) -> Iterator[Any]:
        yield next(portions(*given))
        raise errors.StoreUnavailable("the store is away")

    monkeypatch.setattr(exports, "portions", ends)
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(f"{address}{EXPORT}/csv", headers={"X-API-Key": KEY}, timeout=60)


def opened(address: str, path: str) -> socket.socket:
    """Ask for a file and read its first bytes."""
    parts = urlsplit(address)
    line = socket.create_connection((parts.hostname, parts.port), timeout=60)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {KEY}\r\n\r\n".encode())
    assert line.recv(15) == b"HTTP/1.1 200 OK"
    return line


def threads_of_streams(api: ApiBench) -> int:
    """Return how many streams have a turn."""
    turns = api.app.state.means._stream_turns
    return 4 - int(turns._value)


def test_a_download_that_is_cancelled_gives_back_what_it_holds(api: ApiBench, address: str) -> None:
    lines = [opened(address, f"{EXPORT}/json") for _ in range(4)]
    assert threads_of_streams(api) == 4

    for line in lines:
        line.close()

    wait_until(lambda: threads_of_streams(api) == 0, timeout_s=60, what="they are given back")
    assert len(get(api, "csv", limit=1).content.splitlines()) == 2


def test_a_reader_that_takes_nothing_is_sent_away(api: ApiBench, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "_SLOWEST_S", 0.5)
    before = threading.active_count()
    line = opened(address, f"{EXPORT}/json")

    wait_until(lambda: threads_of_streams(api) == 0, timeout_s=60, what="its turn is over")

    line.close()
    assert threading.active_count() <= before + 4


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
@pytest.mark.parametrize("form", FORMS)
def test_an_export_of_no_events_is_a_file_of_none(api: ApiBench, form: str, encoding: str) -> None:
    answer = get(api, form, encoding=encoding, entity="none.none")

    assert ROWS_IN[form](answer.content) == 0
