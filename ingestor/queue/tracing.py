"""The way of a batch as one OpenTelemetry trace, over all processes that it passes; changes nothing of the way itself.

Off unless a collector is set. No context travels with a message: a batch's id says which trace it is, and which span
all its steps are under, whoever makes them and however often. Spans are sent as OTLP over HTTP, in JSON, by a thread:
the SDK would cost each process 3 MB, because redis-py loads it wherever it is installed.
"""

from __future__ import annotations

import functools
import hashlib
import http.client
import os
import secrets
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
import structlog

from ingestor import errors
from ingestor.queue.producer import TaskSender
from ingestor.settings_tracing import TracingSettings

_log: Final = structlog.get_logger(__name__)
#: A task's id begins with the id of its batch.
_BATCH_ID_LENGTH: Final = 26
_WHOLE: Final = 1 << 64
#: Spans that wait for a collector; more than these push out the oldest.
_MOST_WAITING: Final = 4_096
_SEND_EVERY_S: Final = 1.0
_SEND_WITHIN_S: Final = 3.0
#: OTLP's numbers (opentelemetry.proto.trace.v1).
_INTERNAL, _FAILED = 1, 2


class SpanMaker(Protocol):
    """Takes what happened to a batch; times are Unix nanoseconds."""

    def way(self, batch_id: str, began_ns: int, ended_ns: int, told: Mapping[str, Any]) -> None:
        """Take the whole way of a batch: the span that all others are under."""
        ...

    def step(
        self,
        name: str,
        batch_id: str,
        began_ns: int,
        ended_ns: int,
        told: Mapping[str, Any],
        *,
        error: str | None = None,
    ) -> None:
        """Take a step of its way."""
        ...

    def flush(self) -> None:
        """Send what is there: this process ends."""
        ...


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids of a batch's trace and of its first span: the same in every process."""

    trace: bytes
    span: bytes

    @classmethod
    def of(cls, batch_id: str) -> Ids:
        """Return those of a batch."""
        digest = hashlib.blake2b(batch_id.encode(), digest_size=24).digest()
        return cls(digest[:16], digest[16:])

    def within(self, share: float) -> bool:
        """Tell whether the batch is one of that share: the same in every process."""
        return int.from_bytes(self.trace[:8]) < share * _WHOLE


class OtlpSpans:
    """Makes spans, and hands them to `post` as OTLP's JSON. `post` raises OSError where the collector is away."""

    def __init__(self, post: Callable[[bytes], None], share: float = 1.0) -> None:
        self._post = post
        self._share = share
        self._waiting: deque[dict[str, Any]] = deque(maxlen=_MOST_WAITING)
        self._sending = threading.Lock()
        self._away = False

    def start(self) -> OtlpSpans:
        """Send what is there every second, from a thread of its own."""
        threading.Thread(target=self._run, name="spans", daemon=True).start()
        return self

    def way(self, batch_id: str, began_ns: int, ended_ns: int, told: Mapping[str, Any]) -> None:
        """Make the first span of a batch's trace."""
        ids = Ids.of(batch_id)
        if ids.within(self._share):
            self._waiting.append(_span("batch", ids, ids.span, (began_ns, ended_ns), {"batch.id": batch_id, **told}))

    def step(
        self,
        name: str,
        batch_id: str,
        began_ns: int,
        ended_ns: int,
        told: Mapping[str, Any],
        *,
        error: str | None = None,
    ) -> None:
        """Make a span below the first one, which may not be made yet."""
        ids = Ids.of(batch_id)
        if not ids.within(self._share):
            return
        span = _span(name, ids, secrets.token_bytes(8), (began_ns, ended_ns), {"batch.id": batch_id, **told})
        span["parentSpanId"] = ids.span.hex()
        if error is not None:
            span["status"] = {"code": _FAILED, "message": error}
        self._waiting.append(span)

    def flush(self) -> None:
        """Send what is there. What a collector that is away does not take is gone: spans are no data."""
        with self._sending:
            spans = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if not spans:
                return
            try:
                self._post(msgspec.json.encode(_request(spans)))
            except OSError as error:
                if not self._away:
                    _log.warning("collector_away", error=str(error), spans=len(spans))
                self._away = True
            else:
                self._away = False

    def _run(self) -> None:
        while True:
            time.sleep(_SEND_EVERY_S)
            self.flush()


def _span(name: str, ids: Ids, own: bytes, at_ns: tuple[int, int], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a span; numbers of 64 bits are text in OTLP's JSON."""
    return {
        "traceId": ids.trace.hex(),
        "spanId": own.hex(),
        "name": name,
        "kind": _INTERNAL,
        "startTimeUnixNano": str(at_ns[0]),
        "endTimeUnixNano": str(at_ns[1]),
        "attributes": [_attribute(key, value) for key, value in told.items() if value is not None],
    }


def _attribute(key: str, value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"key": key, "value": {"boolValue": value}}
        case int():
            return {"key": key, "value": {"intValue": str(value)}}
        case float():
            return {"key": key, "value": {"doubleValue": value}}
        case _:
            return {"key": key, "value": {"stringValue": str(value)}}


def _request(spans: list[dict[str, Any]]) -> dict[str, Any]:
    who = {"service.name": "ha-ingestor", "process.pid": os.getpid()}
    resource = {"attributes": [_attribute(key, value) for key, value in who.items()]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "batches"}, "spans": spans}]}]}


class TracedSender:
    """Sends batches as the sender that it is given does, and makes a span of each sending."""

    def __init__(self, sender: TaskSender, spans: SpanMaker) -> None:
        self._sender = sender
        self._spans = spans

    def send(
        self, task: str, queue: str, body: bytes, *, task_id: str, shown: str, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Send a task. Raises BrokerUnavailable."""
        began_ns, error = time.time_ns(), None
        try:
            self._sender.send(task, queue, body, task_id=task_id, shown=shown, kwargs=kwargs)
        except errors.BrokerUnavailable as raised:
            error = str(raised)
            raise
        finally:
            told = {"bytes": len(body), "attempt": (kwargs or {}).get("attempt")}
            self._spans.step("send", task_id[:_BATCH_ID_LENGTH], began_ns, time.time_ns(), told, error=error)

    def close(self) -> None:
        """Give back the connection."""
        self._sender.close()


def open_spans(settings: TracingSettings) -> SpanMaker | None:
    """Return what makes spans in this process; None where no collector is set."""
    return None if settings.url is None else _spans_of(settings.url, settings.share, os.getpid())


@functools.lru_cache(maxsize=1)
def _spans_of(url: str, share: float, _pid: int) -> SpanMaker:
    """Return the one of this process: its thread does not outlive a fork."""
    return OtlpSpans(functools.partial(_post, url), share).start()


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 -- http(s) by its setting
    try:
        urllib.request.urlopen(request, timeout=_SEND_WITHIN_S).close()  # noqa: S310 -- as above
    except http.client.HTTPException as error:  # what answers speaks no HTTP
        raise OSError(repr(error)) from error
