"""Events, states and windows of time as the graph has them; asks by the filters of REST."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from ingestor.api.answers import check_times
from ingestor.api.graphql.context import Asked, Context
from ingestor.api.graphql.fields import told
from ingestor.api.graphql.loaders import EventsKey, WindowsKey
from ingestor.api.graphql.pages import FIRST, After, Connection, First, checked, connection
from ingestor.api.graphql.scalars import Time
from ingestor.api.graphql.shapes import shaped
from ingestor.api.paging import cursor_of
from ingestor.api.v1.events import (
    EventFilters,
    EventList,
    Within,
    event_of,
    events_query,
    looked_up,
    query_by_id,
    question_of,
)
from ingestor.api.v1.history import (
    HistoryList,
    StateShape,
    WindowShape,
    span_of,
    state_shape,
    states_query,
    times_of,
    windows_of,
)
from ingestor.api.v1.shapes import EventShape
from ingestor.events.point import StoredEvent
from ingestor.reading.events import event_object
from ingestor.storage.port import Store, position_of

if TYPE_CHECKING:
    Event = EventShape
    State = StateShape
    Window = WindowShape
else:
    Event = shaped(EventShape, "Event")
    State = shaped(StateShape, "State")
    Window = shaped(WindowShape, "Window")


@strawberry.enum
class EventKind(Enum):
    """Changes of states alone, or all else alone."""

    STATE = "state"
    EVENT = "event"


@strawberry.enum
class Order(Enum):
    """Which come first."""

    NEWEST = "newest"
    OLDEST = "oldest"


@strawberry.enum
class Aggregation(Enum):
    """What is told of a window of time."""

    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    LAST = "last"
    SUM = "sum"
    COUNT = "count"
    TIME_WEIGHTED_MEAN = "time_weighted_mean"
    DURATION = "duration"


@strawberry.enum
class Filling(Enum):
    """What is told of a window in which nothing was."""

    NONE = "none"
    NULL = "null"
    PREVIOUS = "previous"
    ZERO = "zero"
    LINEAR = "linear"


Aggregations = Annotated[
    list[Aggregation] | None, strawberry.argument(description="Default: mean, min, max, last, count.")
]
WindowLength = Annotated[str, strawberry.argument(description="`15m`, `1h`, `1d`; counted from 1970 in UTC.")]


def _of(name: str) -> str | None:
    return EventFilters.model_fields[name].description


@strawberry.input
class EventFilter:
    """Which events. All that are given must hold; of several values of one, any may."""

    entity: str | None = strawberry.field(default=None, description=_of("entity"))
    domain: list[str] | None = strawberry.field(default=None, description=_of("domain"))
    area: list[str] | None = strawberry.field(default=None, description=_of("area"))
    device: list[str] | None = strawberry.field(default=None, description=_of("device"))
    integration: list[str] | None = strawberry.field(default=None, description=_of("integration"))
    type: str | None = strawberry.field(default=None, description=_of("event_type"))
    kind: EventKind | None = strawberry.field(default=None, description=_of("kind"))
    home: str | None = None
    since: Time | None = strawberry.field(default=None, description=_of("since"))
    until: Time | None = strawberry.field(default=None, description=_of("until"))
    cause: str | None = strawberry.field(default=None, description=_of("cause"))
    context: list[str] | None = strawberry.field(default=None, description=_of("context"))


def given(asked: object) -> dict[str, Any]:
    """Return what was said of an input, as REST calls it."""
    values = vars(asked) if asked is not None else {}
    return {name: plain(value) for name, value in values.items() if value is not None}


def plain(value: Any) -> Any:
    """Return an enumeration's value, of a list those of its items, of all else itself."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.value if isinstance(value, Enum) else value


async def events_page(context: Context, asked: EventList, within: Within | None = None) -> Connection[Event]:
    """Return a page of events, of what belongs to something alone where `within` says so. Raises what REST does."""
    context.allow(asked.home)
    known = await context.there(looked_up(asked, context.means))
    query, question = events_query(asked, known, within)

    def read(store: Store) -> Connection[Event]:
        found = list(store.read(query))
        return _page(found, asked.limit, question, asked.cursor)

    return await context.store(read)


def _page(found: Sequence[StoredEvent], first: int, question: object, after: str | None) -> Connection[Event]:
    page = found[:first]
    nodes = [event_shape(event) for event in page]
    cursors = [cursor_of(question, position_of(event)) for event in page]
    return connection(nodes, cursors, more=len(found) > len(page), after=after)


def event_shape(event: StoredEvent) -> Event:
    """Return a stored event as it is told."""
    return EventShape.model_validate(event_object(event))


async def events_within(
    context: Context, home: str, within: Within, asked: dict[str, Any], after: str | None
) -> Connection[Event]:
    """Return the newest events of what is in something: with those of its neighbours, where it is a first page."""
    listed = EventList.model_validate({**asked, "home": home, "cursor": after})
    if after is not None:
        return await events_page(context, listed, within=within)
    check_times(listed.since, listed.until)
    key = EventsKey(home, within.series, listed.limit + 1, listed.kind, listed.since, listed.until)
    question = question_of(listed, within)
    return _page(await context.loaders.events(key), listed.limit, question, None)


async def one_event(context: Context, event_id: str) -> Event:
    """Return the event of an id. Raises NotFound."""
    query = query_by_id(event_id)
    context.allow(query.home)
    return await context.store(lambda store: event_of(store, query, event_id))


async def windows_within(context: Context, home: str, entity_id: str, asked: dict[str, Any]) -> list[Window]:
    """Return the past of an entity by windows, read together with those of its neighbours. Raises Unanswerable."""
    listed = HistoryList.model_validate({**asked, "home": home, "entity": [entity_id]})
    listed.check()
    times = times_of(listed, context.loaders.now_ns)
    key = WindowsKey(home, entity_id, *times, listed.window_ns, listed.chosen, listed.fill)
    rows = await context.loaders.windows(key)
    return [WindowShape.model_validate(row) for row in rows]


@strawberry.type
class EventQueries:
    """What can be asked of events."""

    @told("Stored events, newest first, in pages; as `GET /api/v1/events`.")
    async def events(
        self,
        info: Asked,
        filter: EventFilter | None = None,  # noqa: A002 -- its name in the schema
        order: Order = Order.NEWEST,
        first: First = FIRST,
        after: After = None,
    ) -> Connection[Event]:
        """Return a page."""
        more = {"order": order.value, "limit": checked(first), "cursor": after}
        return await events_page(info.context, EventList.model_validate({**given(filter), **more}))

    @told("One event by its `eventId`.")
    async def event(self, info: Asked, event_id: str) -> Event | None:
        """Return it."""
        return await one_event(info.context, event_id)

    @told("The states of entities as they are called now, oldest first, in pages.")
    async def states(
        self,
        info: Asked,
        entities: list[str],
        home: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        first: First = FIRST,
        after: After = None,
    ) -> Connection[State]:
        """Return a page."""
        times = {"since": since, "until": until, "limit": checked(first), "cursor": after}
        asked = HistoryList.model_validate({"entity": entities, "home": info.context.past_home(home), **times})
        asked.check()
        span = await info.context.other(lambda: span_of(asked, info.context.means))
        query, question = states_query(asked, span)
        found = await info.context.store(lambda store: list(store.read(query)))
        page = found[:first]
        cursors = [cursor_of(question, position_of(event)) for event in page]
        return connection([state_shape(one) for one in page], cursors, more=len(found) > first, after=after)

    @told("The past of entities by windows of time; as `GET /api/v1/events/history`.")
    async def history(
        self,
        info: Asked,
        entities: list[str],
        window: WindowLength,
        home: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        aggregates: Aggregations = None,
        fill: Filling = Filling.NONE,
    ) -> list[Window]:
        """Return windows by entity and time."""
        more = {"since": since, "until": until, "aggregate": plain(aggregates or []), "fill": fill.value}
        named = {"entity": entities, "home": info.context.past_home(home), "window": window}
        asked = HistoryList.model_validate({**named, **more})
        asked.check()
        span = await info.context.other(lambda: span_of(asked, info.context.means))
        rows = await info.context.store(lambda store: windows_of(store, asked, span))
        return [WindowShape.model_validate(row) for row in rows]
