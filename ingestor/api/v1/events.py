"""`/events`: what is stored, by filters pushed down to the store, in pages that stay right while events arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

from ingestor import errors
from ingestor.api.answers import (
    NOT_FOUND,
    UNANSWERABLE,
    Asking,
    Cursor,
    Glob,
    Limit,
    Moment,
    Page,
    Question,
    Text,
    Texts,
    as_json,
    check_times,
    json_answer,
    may_read,
)
from ingestor.api.means import Means
from ingestor.api.paging import cursor_of, next_link, place_of
from ingestor.api.v1.shapes import EventShape
from ingestor.home.history import MapHistory
from ingestor.reading.events import event_object
from ingestor.reading.homes import check_home
from ingestor.reading.spellings import spellings_of
from ingestor.reading.times import LAST_NS
from ingestor.storage.port import EventPosition, EventQuery, Store, position_of
from ingestor.storage.schema import parse_event_id, tag_text

router: Final = APIRouter(prefix="/api/v1", tags=["events"], dependencies=[Depends(may_read)])
_PLACE: Final = (int, str, str, str)
#: Series that a question may come down to: of an entity, of a device, of an integration.
MOST_SERIES: Final = 5000


class EventFilters(Question):
    """Which events. All that are given must hold; of several values of one, any may."""

    entity: Glob | None = Field(None, description="Glob over the entity_id: as it was then, or its first.")
    domain: Texts = Field([], description="Domains, such as `sensor`.")
    area: Texts = Field([], description="Names of areas, as they were then, in whatever case.")
    device: Texts = Field([], description="Names of devices, as they were then, in whatever case.")
    integration: Texts = Field([], description="Integrations, such as `mqtt`, that the entities belong or belonged to.")
    event_type: Glob | None = Field(None, alias="type", description="Glob over the type of event.")
    kind: Literal["state", "event"] | None = Field(None, description="Changes of states alone, or all else alone.")
    home: Text | None = None
    since: Moment | None = Field(None, description="From this time on.")
    until: Moment | None = Field(None, description="Before this time.")
    cause: Glob | None = Field(None, description="Glob over the id of what caused it, or what its chain began with.")
    context: Texts = Field([], description="Home Assistant's context ids.")


class EventList(EventFilters):
    """Which events, and which part of them."""

    order: Literal["newest", "oldest"] = Field("newest", description="Which come first.")
    limit: Limit = 100
    cursor: Cursor | None = None


class Within(NamedTuple):
    """Something whose events alone are asked for, and the series that belong to it now."""

    kind: str
    object_id: str
    series: tuple[str, ...]


@router.get("/events", response_model=Page[EventShape], responses=UNANSWERABLE | NOT_FOUND)
async def list_events(request: Request, asked: Annotated[EventList, Query()], means: Asking) -> Response:
    """Return stored events, newest first, in pages."""
    return await answer_events(request, asked, means)


async def answer_events(request: Request, asked: EventList, means: Means, *, within: Within | None = None) -> Response:
    """Return a page of events; `within`: of what belongs to something alone."""
    query, question = events_query(asked, await looked_up(asked, means), within)

    def read(store: Store) -> tuple[bytes, str | None]:
        found = list(store.read(query))
        page = found[: asked.limit]
        cursor = cursor_of(question, position_of(page[-1])) if len(found) > len(page) else None
        items = [EventShape.model_validate(event_object(event)) for event in page]
        return as_json(Page[EventShape](items=items, next=cursor)), cursor

    body, cursor = await means.store(read)
    return json_answer(body, next_link(request, cursor))


def question_of(asked: EventList, within: Within | None) -> dict[str, Any]:
    """Return what a cursor belongs to; of what is in something its name, since what is in it may be more meanwhile."""
    question = asked.model_dump(exclude={"limit", "cursor"})
    return question if within is None else {**question, "within": [within.kind, within.object_id]}


def events_query(asked: EventList, known: LookedUp, within: Within | None = None) -> tuple[EventQuery, object]:
    """Return how a store is asked for a page and one more, and what its cursor belongs to. Raises Unanswerable."""
    question = question_of(asked, within)
    after = EventPosition(*place_of(asked.cursor, question, _PLACE)) if asked.cursor is not None else None
    if within is not None:
        series = within.series if known.series is None else tuple(one for one in known.series if one in within.series)
        known = replace(known, series=series)
    oldest = asked.order == "oldest"
    return query_of(asked, known, limit=asked.limit + 1, after=after, oldest_first=oldest), question


@router.get("/events/{event_id:path}", response_model=EventShape, responses=NOT_FOUND)
async def read_event(
    event_id: Annotated[str, Path(description="`home~series~nanoseconds`, as `event_id` says.")], means: Asking
) -> Response:
    """Return one event; its id says where it is, so no store has to look for it."""
    query = query_by_id(event_id)
    return json_answer(await means.store(lambda store: as_json(event_of(store, query, event_id))))


def query_by_id(event_id: str) -> EventQuery:
    """Return how a store is asked for the one event of an id. Raises NotFound."""
    try:
        home, series, time_ns = parse_event_id(event_id)
    except errors.Rejected as error:
        raise errors.NotFound(error.detail) from error
    if time_ns > LAST_NS:
        raise errors.NotFound(f"{event_id!r:.100}: no store holds such a time")
    return EventQuery(home=home, series=(series,), since_ns=time_ns, until_ns=time_ns + 1, limit=100)


def event_of(store: Store, query: EventQuery, event_id: str) -> EventShape:
    """Return the event of an id. Raises NotFound, and what the store raises."""
    for event in store.read(query):
        if query.series == (event.series,):
            return EventShape.model_validate(event_object(event))
    raise errors.NotFound(f"there is no event {event_id!r:.300}")


def query_of(asked: EventFilters, known: LookedUp, **more: Any) -> EventQuery:
    """Return filters as a store is asked. Raises Unanswerable."""
    check_times(asked.since, asked.until)
    named = (("domain", asked.domain), ("area", known.areas), ("device", known.devices))
    return EventQuery(
        entity=asked.entity,
        event_type=asked.event_type,
        kind=asked.kind,
        home=asked.home,
        since_ns=asked.since,
        until_ns=asked.until,
        context_ids=tuple(asked.context) or None,
        tags=tuple((name, tuple(map(tag_text, values))) for name, values in named if values),
        series=known.series,
        cause=asked.cause,
        **more,
    )


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What the map's history knows of filters. `series`: what they come down to; None where all are asked."""

    series: tuple[str, ...] | None
    areas: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


async def looked_up(asked: EventFilters, means: Means) -> LookedUp:
    """Return what filters mean to a store, which compares names letter by letter: with each spelling there ever was.

    Raises NotFound for a home that never was, Unanswerable where that is too much.
    """
    if asked.home is not None:
        await means.other(lambda: check_home(means.settings, asked.home, means.metadata))

    def spelled(kind: Literal["area", "device"], names: Sequence[str]) -> tuple[str, ...]:
        return spellings_of(names, MapHistory(means.metadata()).names_of(kind, asked.home)) if names else ()

    areas: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    if asked.area or asked.device:
        areas, devices = await means.other(lambda: (spelled("area", asked.area), spelled("device", asked.device)))
    return LookedUp(await series_asked_for(asked, means), areas, devices)


async def series_asked_for(asked: EventFilters, means: Means) -> tuple[str, ...] | None:
    """Return the series that an entity without `*` and `?`, or integrations, come down to; None where all are asked.

    An entity is looked up in the map's history: a store finds series at once, and names of the day by reading all.
    """
    exact = asked.entity if asked.entity is not None and not {"*", "?"} & set(asked.entity) else None
    if exact is None and not asked.integration:
        return None

    def look_up() -> tuple[str, ...]:
        history = MapHistory(means.metadata())
        of_entity = {exact, *history.series_of(asked.home, entity_ids=[exact], limit=MOST_SERIES)} if exact else None
        if not asked.integration:
            return tuple(sorted(of_entity or ()))
        found = history.series_of(asked.home, integrations=asked.integration, limit=MOST_SERIES + 1)
        if len(found) > MOST_SERIES:
            raise errors.Unanswerable(f"more than {MOST_SERIES:,} entities belong to these integrations: name a home")
        return tuple(one for one in found if of_entity is None or one in of_entity)

    return await means.other(look_up)
