"""`/events/stream`: what happens now, as Server-Sent Events; who comes back goes on where they were."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.types import Receive, Scope, Send

from ingestor.api.answers import NOT_FOUND, may_read
from ingestor.api.live import LiveFilters, hub_of
from ingestor.live.cursor import parse_cursor
from ingestor.live.envelope import Form
from ingestor.live.hub import Hearing
from ingestor.live.listener import Delivery, Ended, Gap, Item, Missed
from ingestor.settings import Settings

PATH: Final = "/api/v1/events/stream"
router: Final = APIRouter(prefix="/api/v1", tags=["live"], dependencies=[Depends(may_read)])
#: How long a client waits until it comes back (ms).
_RETRY_MS: Final = 2000
_MAX_CURSOR: Final = 8000
_DESCRIBED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events, until one of both ends it.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    **NOT_FOUND,
}


class StreamAsked(LiveFilters):
    """Which messages, in which form, from where on."""

    last_event_id: str | None = Field(
        None, max_length=_MAX_CURSOR, description="As the header `Last-Event-ID`, which goes before it."
    )
    form: Form = Field("native", description="`cloudevents`: each message is a CloudEvent 1.0.2 in structured mode.")
    end_after_s: float | None = Field(None, ge=0, le=86_400, description="End the stream after so many seconds.")


class EventStream(StreamingResponse):
    """A stream of what is heard. It is opened before anything is answered: who cannot be served is told so."""

    media_type = "text/event-stream"

    def __init__(
        self,
        opened: AbstractAsyncContextManager[Hearing],
        chunks: Callable[[Hearing], AsyncIterator[bytes]],
        status_code: int = 200,
    ) -> None:
        # FastAPI reads the status off this signature for its description.
        super().__init__((), status_code, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._opened = opened
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it until its client goes. Raises Overloaded, StateUnavailable before the answer has begun."""
        async with self._opened as hearing:
            self.body_iterator = self._chunks(hearing)
            await super().__call__(scope, receive, send)


@router.get(PATH.removeprefix(router.prefix), response_class=EventStream, responses=_DESCRIBED)
async def stream_events(
    request: Request,
    asked: Annotated[StreamAsked, Query()],
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", max_length=_MAX_CURSOR, description="The `id` of the last message that came."),
    ] = None,
) -> EventStream:
    """Tell of events when they are written, as Server-Sent Events.

    First comes `ready`, with the cursor of now. Then each message under its type, with `data` in JSON on one line and
    the cursor behind it as `id`. `gap`: something was not kept since the cursor given; it is in `/api/v1/events`.
    `missed`: so many messages were let go, because this reader was too slow. A quiet stream sends a comment now and
    then, and the cursor.
    """
    settings: Settings = request.app.state.means.settings
    wanted = asked.checked(settings)
    given = last_event_id or asked.last_event_id
    after = parse_cursor(given) if given else None
    opened = hub_of(request.app.state).listen(wanted, after=after)
    return EventStream(opened, lambda hearing: _chunks(hearing, asked, settings.live.heartbeat_s))


async def _chunks(hearing: Hearing, asked: StreamAsked, heartbeat_s: float) -> AsyncIterator[bytes]:
    ends_s = time.monotonic() + (math.inf if asked.end_after_s is None else asked.end_after_s)

    def wait_s() -> float:
        return min(heartbeat_s, max(0.0, ends_s - time.monotonic()))

    yield b"retry: %d\n" % _RETRY_MS + _block("ready", {"cursor": hearing.cursor}, hearing.cursor)
    async for item in hearing.items(wait_s):
        if isinstance(item, Ended) or time.monotonic() >= ends_s:
            return
        yield _chunk(item, asked.form) if item else b": quiet\nid: %s\n\n" % hearing.heard_all().encode()
        # A lost connection is noticed in the loop's next round; until then all that waits would be written to it.
        await asyncio.sleep(0)


def _chunk(item: Item, form: Form) -> bytes:
    match item:
        case Delivery():
            return item.made_once(f"sse {form}", lambda made: _messages(made, form))
        case Gap():
            told = {"home": item.home, "detail": "messages of this home were not kept; /api/v1/events has their events"}
            return _block("gap", told, item.cursor)
        case Missed():
            return _block("missed", {"messages": item.messages})
        case Ended():
            return b""


def _messages(delivery: Delivery, form: Form) -> bytes:
    """Return all messages of a delivery: made once for all who listen by that filter."""
    subjects, render = delivery.messages.subjects, delivery.messages.render
    return b"".join(
        b"id: %s\nevent: %s\ndata: %s\n\n"
        % (delivery.cursor_at(place).encode(), subjects[index].name.encode(), render(index, form))
        for place, index in enumerate(delivery.chosen)
    )


def _block(name: str, data: dict[str, Any], cursor: str | None = None) -> bytes:
    place = b"" if cursor is None else b"id: %s\n" % cursor.encode()
    return place + b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))
