"""The methods of the service: each takes a request apart, asks as REST does, and sends messages; no logic."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from ingestor import errors
from ingestor.api.live import hub_of
from ingestor.api.means import Means
from ingestor.api.paging import cursor_of
from ingestor.api.rpc import asked, told
from ingestor.api.rpc import ingestor_pb2 as pb
from ingestor.api.rpc.calls import Call
from ingestor.api.rpc.door import Door
from ingestor.api.v1.events import EventFilters, events_query, looked_up, query_of
from ingestor.api.v1.history import span_of, states_query, windows_of
from ingestor.api.v1.keeping import gaps_of, ledger_of
from ingestor.events.point import StoredEvent
from ingestor.export.files import PACKERS, file_of
from ingestor.export.form import Form
from ingestor.export.forms import form_of
from ingestor.export.reading import portions
from ingestor.live.cursor import parse_cursor
from ingestor.live.hub import Hearing
from ingestor.live.listener import Delivery, Ended, Gap, Item, Missed
from ingestor.live.pacing import Pace
from ingestor.reading.times import rfc3339_of_ns
from ingestor.security.access import Action, Scope, authorize
from ingestor.storage.port import EventQuery, Store, position_of

#: Bytes of a file in one message.
PIECE: Final = 65_536
_WAIT_S: Final = 60.0
_ALL: Final = 2**62


@dataclass(frozen=True)
class Ingestor:
    """The service `ha_ingestor.v1.Ingestor`."""

    means: Means
    state: Any
    door: Door

    async def subscribe(self, request: Any, call: Call) -> None:
        """Tell what happens now, until one of both ends it."""
        filters = asked.live_filters(request.filter)
        for home in filters.home or (None,):
            await self._allow(call, home)
        after = parse_cursor(request.cursor) if request.cursor else None
        pace = asked.pace(request)
        wanted = filters.checked(self.means.settings)
        opened = hub_of(self.state).listen(wanted, after=after, policy=asked.policy(request))
        async with opened as hearing:
            await call.send(pb.SubscribeResponse(ready=pb.Ready(cursor=hearing.cursor)))
            async for item in hearing.items(lambda: _WAIT_S):
                if isinstance(item, Ended) and not item.too_slow:
                    raise errors.StateUnavailable("this process ends: come back with the last cursor")
                for message in () if item is None else _heard(item, hearing, pace):
                    await call.send(message)

    async def list_events(self, request: Any, call: Call) -> Any:
        """Return a page of events."""
        listed = asked.event_list(request)
        await self._allow(call, listed.home)
        query, question = events_query(listed, await looked_up(listed, self.means))

        def read(store: Store) -> Any:
            found = list(store.read(query))
            # Where they are large, a page has fewer than were asked for.
            events = list(itertools.islice(told.batches(told.events(found[: listed.limit]), most=listed.limit), 1))
            page = found[: len(events[0]) if events else 0]
            token = cursor_of(question, position_of(page[-1])) if len(found) > len(page) else ""
            return pb.ListEventsResponse(events=events[0] if events else [], next_page_token=token)

        return await self.means.store(read)

    async def read_events(self, request: Any, call: Call) -> None:
        """Send all events, oldest first."""
        query = await self._query(call, asked.event_filters(request.filter), asked.limit(request.limit))
        await self._send_all(call, lambda store: (pb.EventBatch(events=one) for one in _batches(store, query)))

    async def read_history(self, request: Any, call: Call) -> None:
        """Send the past of entities: windows of time, or states."""
        listed = asked.history_list(request)
        await self._allow(call, listed.home)
        span = await self.means.other(lambda: span_of(listed, self.means))
        if listed.window is None:
            query, _ = states_query(listed.model_copy(update={"limit": _ALL}), span)
            await self._send_all(call, lambda store: (pb.HistoryBatch(states=one) for one in _batches(store, query)))
            return
        rows = await self.means.store(lambda store: windows_of(store, listed, span))
        for some in told.batches(told.windows(rows)):
            await call.send(pb.HistoryBatch(windows=some))

    async def export(self, request: Any, call: Call) -> None:
        """Send a file, piece by piece."""
        if request.format == "":
            raise errors.Unanswerable("say a format, such as parquet or csv")
        if request.compression and request.compression not in PACKERS:
            raise errors.Unanswerable(f"a file is packed as {', '.join(PACKERS)}, or not at all")
        form = form_of(request.format)
        query = await self._query(call, asked.event_filters(request.filter), asked.limit(request.limit))
        await self._send_all(call, lambda store: _chunks(store, query, form, request.compression or None))

    async def get_ledger(self, request: Any, call: Call) -> Any:
        """Return the ledger."""
        span = asked.ledger_span(request)
        await self._allow(call, span.home)
        return await self.means.other(lambda: told.ledger(ledger_of(self.means, span)))

    async def list_gaps(self, request: Any, call: Call) -> Any:
        """Return gaps."""
        listed = asked.gap_list(request)
        await self._allow(call, listed.home)
        return await self.means.other(lambda: told.gaps(gaps_of(self.means, listed)))

    async def _allow(self, call: Call, home: str | None) -> None:
        authorize(await self.door.principal(call.metadata), Action.READ_DATA, Scope(home))

    async def _query(self, call: Call, filters: EventFilters, limit: int) -> EventQuery:
        await self._allow(call, filters.home)
        return query_of(filters, await looked_up(filters, self.means), limit=limit)

    async def _send_all(self, call: Call, pieces: Any) -> None:
        stream: AsyncGenerator[Any] = self.means.stream(pieces)
        async with aclosing(stream):
            async for piece in stream:
                await call.send(piece)


def _heard(item: Item, hearing: Hearing, pace: Pace) -> Iterator[Any]:
    """Yield what one listener is told. Raises Overloaded where they must go."""
    match item:
        case Delivery():
            deliveries = [item, *hearing.more(told.BATCH - len(item.chosen))]
            yield from (pb.SubscribeResponse(messages=one) for one in told.live_messages(deliveries, pace))
        case Gap():
            yield pb.SubscribeResponse(gap=pb.LiveGap(home=item.home, cursor=item.cursor))
        case Missed():
            yield pb.SubscribeResponse(missed=pb.Missed(messages=item.messages))
        case Ended():
            raise errors.Overloaded("whoever listens is too slow: come back with the last cursor")


def _batches(store: Store, query: EventQuery) -> Iterator[list[Any]]:
    for portion in portions(store, query):
        yield from told.batches(told.events(portion))


def _chunks(store: Store, query: EventQuery, form: Form, packed: str | None) -> Iterator[Any]:
    """Yield a file in pieces; the first says what it is."""
    name = f"events-{rfc3339_of_ns(time.time_ns())[:19].replace(':', '')}Z.{form.suffix}"
    what: dict[str, Any] = {"media_type": form.media_type, "file_name": name}
    found = portions(store, query)
    first: list[StoredEvent] = next(found, [])  # before anything is sent: a store that is away is a failure
    for piece in file_of(itertools.chain([first] if first else [], found), form, packed=packed):
        for start in range(0, len(piece), PIECE):
            yield pb.ExportChunk(data=piece[start : start + PIECE], **what)
            what = {}
    if what:
        yield pb.ExportChunk(**what)
