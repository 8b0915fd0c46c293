"""`/events/history`: the past of entities, as it is stored or added up by windows of time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from ingestor import errors
from ingestor.api.answers import (
    NOT_FOUND,
    UNANSWERABLE,
    Asking,
    Cursor,
    Limit,
    Moment,
    Page,
    Question,
    Text,
    as_json,
    json_answer,
    may_read,
)
from ingestor.api.means import Means
from ingestor.api.paging import cursor_of, next_link, place_of
from ingestor.events.point import StoredEvent
from ingestor.home.history import MapHistory
from ingestor.reading.history import Aggregate, Fill, HistoryAsked, history_rows
from ingestor.reading.homes import check_home
from ingestor.reading.times import LAST_NS, rfc3339_of_ns
from ingestor.storage.port import EventPosition, EventQuery, Store, position_of

router: Final = APIRouter(prefix="/api/v1", tags=["events"], dependencies=[Depends(may_read)])
_PLACE: Final = (int, str, str, str)
_UNIT_NS: Final = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9, "w": 7 * 86_400 * 10**9}
_DAY_NS: Final = _UNIT_NS["d"]
_USUAL: Final[tuple[Aggregate, ...]] = ("mean", "min", "max", "last", "count")
Seconds = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,5}[smhdw]$")]


class HistoryList(Question):
    """Which entities, from when to when, and how."""

    entity: Annotated[list[Text], Field(min_length=1, max_length=20, description="Entities, as they are called now.")]
    home: Text | None = Field(None, description="Default: the first home of the settings.")
    since: Moment | None = Field(None, description="From this time on; default: a day before `until`.")
    until: Moment | None = Field(None, description="Before this time; default: now.")
    window: Seconds | None = Field(
        None,
        description="Length of a window: `15m`, `1h`, `1d`, up to `3650d`; counted from 1970 in UTC. Without one, "
        "states are told.",
    )
    aggregate: Annotated[list[Aggregate], Field(max_length=8)] = Field(
        [],
        description="What is told of a window; default: mean, min, max, last, count. `time_weighted_mean` and "
        "`duration` (seconds by state) go by what held how long, also where nothing changed.",
    )
    fill: Fill = Field("none", description="What is told of a window in which nothing was: nothing, null, ….")
    limit: Limit = Field(1000, description="Most states of a page.")
    cursor: Cursor | None = Field(None, description="Of a page of states.")

    @property
    def window_ns(self) -> int:
        """The length of a window (ns); 0 where states are asked for."""
        return int(self.window[:-1]) * _UNIT_NS[self.window[-1]] if self.window else 0

    @property
    def chosen(self) -> tuple[Aggregate, ...]:
        """What is told of a window."""
        return tuple(dict.fromkeys(self.aggregate)) or _USUAL

    def check(self) -> None:
        """Raise Unanswerable where it contradicts itself."""
        if self.window is None and (self.aggregate or self.fill != "none"):
            raise errors.Unanswerable("aggregate and fill need a window")
        if self.window is not None and self.cursor is not None:
            raise errors.Unanswerable("a cursor is for states: windows come all at once")
        if globs := [one for one in self.entity if "*" in one or "?" in one]:
            raise errors.Unanswerable(f"history is of single entities, by their names; {globs[0]!r:.100} is a pattern")


class StateShape(BaseModel):
    """A state of an entity."""

    time: str = Field(json_schema_extra={"format": "date-time"})
    entity_id: str
    series: str
    state: str | None = Field(description="Null: it was removed.")
    value: float | None
    unit: str | None


class WindowShape(BaseModel):
    """A window of time of an entity; it has what was asked for."""

    entity_id: str
    series: str
    start: str = Field(json_schema_extra={"format": "date-time"})
    mean: float | None = Field(None, description="Of the numbers that were stored.")
    min: float | None = None
    max: float | None = None
    last: float | None = None
    last_state: str | None = Field(None, description="Beside `last`: the last text.")
    sum: float | None = None
    count: int = Field(0, description="States that were stored.")
    time_weighted_mean: float | None = Field(None, description="Each number by how long it held.")
    duration_s: dict[str, float] = Field({}, description="Seconds by state, of the 50 that held longest.")
    other_s: float = Field(0.0, description="Beside `duration_s`: seconds of all other states.")


class StatePage(Page[StateShape]):
    """States, oldest first."""

    form: Literal["states"] = "states"


class WindowPage(BaseModel):
    """Windows, by entity and time; all of them."""

    form: Literal["windows"] = "windows"
    window_s: float
    items: list[WindowShape]


@dataclass(frozen=True, slots=True)
class HistorySpan:
    """Of which home, which series, from when to when (Unix, ns)."""

    home: str
    #: The series of each entity, as it is called now.
    series: dict[str, str]
    since_ns: int
    until_ns: int


@router.get("/events/history", response_model=StatePage | WindowPage, responses=UNANSWERABLE | NOT_FOUND)
async def read_history(request: Request, asked: Annotated[HistoryList, Query()], means: Asking) -> Response:
    """Return the states of entities, oldest first in pages, or what they come to by windows of time."""
    asked.check()
    span = await means.other(lambda: span_of(asked, means))
    if asked.window is not None:
        return json_answer(await means.store(lambda store: window_page(store, asked, span)))
    body, cursor = await means.store(lambda store: _states(store, asked, span))
    return json_answer(body, next_link(request, cursor))


def times_of(asked: HistoryList, now_ns: int) -> tuple[int, int]:
    """Return from when to when is asked (Unix, ns). Raises Unanswerable."""
    until_ns = min(asked.until if asked.until is not None else now_ns, LAST_NS)
    since_ns = asked.since if asked.since is not None else max(0, until_ns - _DAY_NS)
    if since_ns >= until_ns:
        raise errors.Unanswerable("since must be before until")
    return since_ns, until_ns


def span_of(asked: HistoryList, means: Means) -> HistorySpan:
    """Return what is asked for, and as what series the entities are stored; blocks. Raises Unanswerable, NotFound."""
    since_ns, until_ns = times_of(asked, time.time_ns())
    check_home(means.settings, asked.home, means.metadata)
    home = asked.home or means.settings.all_homes()[0].name
    known = MapHistory(means.metadata()).series_now(home, asked.entity)
    return HistorySpan(home, {one: known.get(one, one) for one in asked.entity}, since_ns, until_ns)


def windows_of(store: Store, asked: HistoryList, span: HistorySpan) -> list[dict[str, Any]]:
    """Return windows of time. Raises Unanswerable, and what the store raises."""
    times = (span.since_ns, span.until_ns, asked.window_ns)
    return history_rows(store, HistoryAsked(span.home, span.series, *times, asked.chosen, asked.fill, time.time_ns()))


def window_page(store: Store, asked: HistoryList, span: HistorySpan) -> bytes:
    """Return windows of time as JSON."""
    items = [WindowShape.model_validate(row) for row in windows_of(store, asked, span)]
    answer = WindowPage(form="windows", window_s=asked.window_ns / 10**9, items=items)
    return answer.model_dump_json(exclude_unset=True).encode()


def states_query(asked: HistoryList, span: HistorySpan) -> tuple[EventQuery, object]:
    """Return how a store is asked for a page of states and one more, and what their cursor belongs to."""
    question = asked.model_dump(exclude={"limit", "cursor"})
    query = EventQuery(
        home=span.home,
        kind="state",
        series=tuple(dict.fromkeys(span.series.values())),
        since_ns=span.since_ns,
        until_ns=span.until_ns,
        limit=asked.limit + 1,
        oldest_first=True,
        after=EventPosition(*place_of(asked.cursor, question, _PLACE)) if asked.cursor is not None else None,
    )
    return query, question


def _states(store: Store, asked: HistoryList, span: HistorySpan) -> tuple[bytes, str | None]:
    query, question = states_query(asked, span)
    found = list(store.read(query))
    page = found[: asked.limit]
    cursor = cursor_of(question, position_of(page[-1])) if len(found) > len(page) else None
    return as_json(StatePage(items=[state_shape(event) for event in page], next=cursor)), cursor


def state_shape(event: StoredEvent) -> StateShape:
    """Return a stored state as it is told."""
    state, value, unit = (event.fields.get(name) for name in ("state", "value", "unit"))
    return StateShape(
        time=rfc3339_of_ns(event.time_ns),
        entity_id=str(event.fields.get("entity_id", event.series)),
        series=event.series,
        state=None if state is None else str(state),
        value=float(value) if isinstance(value, int | float) else None,
        unit=None if unit is None else str(unit),
    )
