"""Spans of batches, as a collector gets them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingestor import errors
from ingestor.queue.producer import MemoryTaskSender
from ingestor.queue.tracing import Ids, OtlpSpans, TracedSender, open_spans
from ingestor.settings_tracing import TracingSettings

BATCH = "01J0000000000000000000000A"


class Collector:
    """Keeps what it is sent, and may be away."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.away = False

    def take(self, body: bytes) -> None:
        if self.away:
            raise ConnectionRefusedError
        for resource in json.loads(body)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                self.spans += scope["spans"]


@pytest.fixture
def collector() -> Collector:
    return Collector()


def told(span: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


def test_without_a_collector_nothing_makes_spans() -> None:
    assert open_spans(TracingSettings()) is None


def test_what_two_processes_tell_of_a_batch_is_one_trace_whose_first_span_may_come_last(collector: Collector) -> None:
    worker, listener = OtlpSpans(collector.take), OtlpSpans(collector.take)

    worker.step("write", BATCH, 2_000, 3_000, {"events": 7, "frames": None})
    worker.flush()
    listener.way(BATCH, 1_000, 4_000, {"home": "home"})
    listener.flush()

    write, whole = collector.spans
    assert (write["traceId"], write["parentSpanId"]) == (whole["traceId"], whole["spanId"])
    assert (len(write["traceId"]), len(write["spanId"])) == (32, 16)
    assert write["spanId"] != whole["spanId"]
    assert (write["startTimeUnixNano"], write["endTimeUnixNano"]) == ("2000", "3000")
    assert told(write) == {"batch.id": BATCH, "events": "7"}
    assert "parentSpanId" not in whole


def test_a_step_that_failed_says_so(collector: Collector) -> None:
    spans = OtlpSpans(collector.take)

    spans.step("enrich", BATCH, 1, 2, {}, error="no map")
    spans.flush()

    assert collector.spans[0]["status"] == {"code": 2, "message": "no map"}


def test_every_process_traces_the_same_share_of_batches(collector: Collector) -> None:
    spans = OtlpSpans(collector.take, share=0.25)
    batches = [f"{number:026d}" for number in range(400)]

    for batch in batches:
        spans.way(batch, 1, 2, {})
        spans.step("send", batch, 1, 2, {})
    spans.flush()

    traced = {told(span)["batch.id"] for span in collector.spans}
    assert traced == {batch for batch in batches if Ids.of(batch).within(0.25)}
    assert 60 < len(traced) < 140
    assert len(collector.spans) == 2 * len(traced)


def test_a_sending_is_a_span_also_where_the_broker_is_away(collector: Collector) -> None:
    spans, sender = OtlpSpans(collector.take), MemoryTaskSender()
    traced = TracedSender(sender, spans)

    traced.send("t", "validate", b"1234", task_id=f"{BATCH}-2", shown="", kwargs={"attempt": 2})
    sender.away = True
    with pytest.raises(errors.BrokerUnavailable):
        traced.send("t", "validate", b"1234", task_id=f"{BATCH}-3", shown="", kwargs={"attempt": 3})
    spans.flush()

    first, second = collector.spans
    assert told(first) == {"batch.id": BATCH, "bytes": "4", "attempt": "2"}
    assert ("status" in first, second["status"]["code"]) == (False, 2)
    assert [task.task_id for task in sender.sent] == [f"{BATCH}-2"]


def test_a_collector_that_is_away_holds_nobody_up_and_gets_what_comes_later(collector: Collector) -> None:
    spans = OtlpSpans(collector.take)
    collector.away = True
    for _ in range(10_000):
        spans.step("write", BATCH, 1, 2, {})
    spans.flush()

    collector.away = False
    spans.step("enrich", BATCH, 1, 2, {})
    spans.flush()

    assert [span["name"] for span in collector.spans] == ["enrich"]
