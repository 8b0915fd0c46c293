"""The way of a batch as one trace, seen by a collector that speaks OTLP over HTTP."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.real_workers import Road
from tests.servers import wait_until
from tests.servers_brokers import RedisServer


class Collector:
    """Takes spans, and keeps them."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        spans = self.spans

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                spans.extend(
                    span for one in asked["resourceSpans"] for scope in one["scopeSpans"] for span in scope["spans"]
                )
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1/traces"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def test_a_batch_is_one_trace_from_the_listener_over_three_tasks_to_the_store(
    redis_server: RedisServer, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HA_INGESTOR_TRACING__URL", collector.url)
    with ExitStack() as stack:
        road = Road(
            stack, tmp_path / "data", redis_server.url, redis_server.url, tracing_url=collector.url, resend_after_s=60.0
        )
        road.start_workers()
        road.add("1", "2", "3")
        road.settle(60)
        wait_until(lambda: len(collector.spans) >= 5, timeout_s=60, what="five spans")

    spans = {span["name"]: span for span in collector.spans}
    assert spans.keys() == {"batch", "send", "validate", "enrich", "write"}
    assert len({span["traceId"] for span in spans.values()}) == 1
    whole = spans.pop("batch")
    assert "parentSpanId" not in whole
    assert {span["parentSpanId"] for span in spans.values()} == {whole["spanId"]}
    began = [int(spans[name]["startTimeUnixNano"]) for name in ("send", "validate", "enrich", "write")]
    assert began == sorted(began)
    assert int(whole["startTimeUnixNano"]) <= began[0]
    assert int(whole["endTimeUnixNano"]) >= max(int(span["endTimeUnixNano"]) for span in spans.values())
    told = {one["key"]: one["value"] for one in spans["write"]["attributes"]}
    assert told["events"] == {"intValue": "3"}
    assert len(told["batch.id"]["stringValue"]) == 26
