"""`/export/{format}`: events as a file, streamed; the forms are those of `ha-ingestor export`."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.types import Message, Receive, Scope, Send

from ingestor.api.accepting import check_accepts, preferred
from ingestor.api.answers import NOT_FOUND, Asking, may_read
from ingestor.api.means import Means
from ingestor.api.v1.events import EventFilters, looked_up, query_of
from ingestor.export.files import PACKERS, file_of
from ingestor.export.form import Form
from ingestor.export.forms import FORMS
from ingestor.export.reading import portions
from ingestor.reading.times import rfc3339_of_ns
from ingestor.storage.port import EventQuery, Store

router: Final = APIRouter(prefix="/api/v1", tags=["events"], dependencies=[Depends(may_read)])
MOST_EVENTS: Final = 2**62
#: Bytes that are sent at once, and how long whoever asked may take for them (s): 1 kB/s is no reader.
_PIECE: Final = 65_536
_SLOWEST_S: Final = 60.0
_BY_TYPE: Final = {form.media_type.partition(";")[0]: form for form in FORMS.values()}
_ROWS: Final = {"type": "array", "items": {"type": "object"}}
_MEDIA_TYPES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file. One that was cut off ends without the end of its chunks.",
        "content": {**{name: {} for name in _BY_TYPE}, "application/json": {"schema": _ROWS}},
    },
    **NOT_FOUND,
}
Packed = StrEnum("Packed", {name: name for name in PACKERS})  # type: ignore[misc] # likewise
FormName = StrEnum("FormName", {name: name for name in FORMS})  # type: ignore[misc] # the names are kept in one place


class ExportFilters(EventFilters):
    """Which events."""

    limit: int | None = Field(None, ge=1, le=MOST_EVENTS, description="Most events; default: all.")


@router.get("/export/{format}", response_class=StreamingResponse, responses=_MEDIA_TYPES)
async def export_events(
    request: Request,
    named: Annotated[FormName, Path(alias="format")],
    asked: Annotated[ExportFilters, Query()],
    means: Asking,
) -> StreamingResponse:
    """Return stored events as a file, oldest first, however many: packed as `Accept-Encoding` allows (zstd, gzip)."""
    form = FORMS[named.value]
    check_accepts(request, form.media_type)
    return await _download(request, form, asked, means)


@router.get("/export", response_class=StreamingResponse, responses=_MEDIA_TYPES)
async def export_events_as_accepted(
    request: Request, asked: Annotated[ExportFilters, Query()], means: Asking
) -> StreamingResponse:
    """Return stored events as a file in the form that `Accept` likes best; as JSON where it says nothing."""
    media_type = preferred(request, _BY_TYPE)
    answer = await _download(request, _BY_TYPE[media_type], asked, means)
    answer.headers["Vary"] = "Accept, Accept-Encoding"
    return answer


async def _download(request: Request, form: Form, asked: ExportFilters, means: Means) -> StreamingResponse:
    now_ns = time.time_ns()
    known = await looked_up(asked, means)
    query = query_of(asked, known, limit=asked.limit or MOST_EVENTS)
    packed = None if form.is_packed else accepted(request.headers.get("accept-encoding", ""))
    pieces = means.stream(lambda store: _pieces(store, query, form, packed))
    # The first piece is read before the answer begins: a store that is away is a failure, and no short file.
    first = await anext(pieces, b"")  # some forms have nothing to say of no events
    return Download(_after(first, pieces), media_type=form.media_type, headers=_headers(form, now_ns, packed))


def _pieces(store: Store, query: EventQuery, form: Form, packed: str | None) -> Iterator[bytes]:
    found = portions(store, query)
    first = next(found, [])
    for piece in file_of(itertools.chain([first] if first else [], found), form, packed=packed):
        for start in range(0, len(piece), _PIECE):
            yield piece[start : start + _PIECE]


async def _after(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        if first:
            yield first
        async for piece in pieces:
            yield piece
    finally:
        await pieces.aclose()  # type: ignore[attr-defined] # it is a generator


def accepted(accept_encoding: str) -> str | None:
    """Return the way of packing that whoever asks takes, the better one first; None: as it is."""
    wanted = {}
    for one in accept_encoding.lower().split(","):
        name, _, parameters = one.strip().partition(";")
        quality = parameters.strip().removeprefix("q=").strip() if parameters else "1"
        wanted[name.strip()] = quality not in ("0", "0.0", "0.00", "0.000")
    return next((name for name in PACKERS if wanted.get(name)), None)


def _headers(form: Form, now_ns: int, packed: str | None) -> Mapping[str, str]:
    name = f"events-{rfc3339_of_ns(now_ns)[:19].replace(':', '')}Z.{form.suffix}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept-Encoding"}
    return {**headers, "Content-Encoding": packed} if packed else headers


class Download(StreamingResponse):
    """A stream that ends when its reader does, or takes nothing any more: what it holds is given back at once."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""

        async def send_soon(message: Message) -> None:
            async with asyncio.timeout(_SLOWEST_S):
                await send(message)

        try:
            await super().__call__(scope, receive, send_soon)
        finally:
            await self.body_iterator.aclose()  # type: ignore[attr-defined] # it is a generator
