"""`/ledger`, `/gaps`, `/quarantine`: what became of every event, what could not be heard, what could not be used."""

from __future__ import annotations

import time
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from ingestor import bootstrap, errors
from ingestor.api.answers import (
    NOT_FOUND,
    UNANSWERABLE,
    Asking,
    Limit,
    Moment,
    Question,
    Text,
    as_json,
    check_times,
    json_answer,
    may_read,
)
from ingestor.api.means import Means
from ingestor.events.counts import Counts, hour_of
from ingestor.reading.gaps import gap_object
from ingestor.reading.homes import check_home
from ingestor.reading.ledger import figures, read_ledger, row_object, verdict
from ingestor.reading.quarantine import cause_object, piece_object
from ingestor.storage.quarantine import Chosen

router: Final = APIRouter(prefix="/api/v1", tags=["keeping"], dependencies=[Depends(may_read)])
_S: Final = 10**9
_NS_PER_US: Final = 1000
_DAY_NS: Final = 86_400 * _S
#: Hours of the ledger in one answer, of all homes and sources: some weeks of a home.
_MOST_ROWS: Final = 10_000
#: Ids of pieces are 64 bits.
LAST_ID: Final = 2**63 - 1


class LedgerSpan(Question):
    """Which hours of the ledger."""

    home: Text | None = None
    since: Moment | None = Field(None, description="From the hour of this time on; default: a day before `until`.")
    until: Moment | None = Field(None, description="Hours that begin before this time; default: now.")


class GapList(Question):
    """Which gaps."""

    home: Text | None = None
    since: Moment | None = Field(None, description="Only gaps that were not over before this time.")
    limit: Limit = 100


class CauseList(Question):
    """How many causes."""

    limit: Limit = 100


class PieceList(Question):
    """Which pieces."""

    limit: Annotated[int, Field(ge=1, le=25, description="Most pieces: each may have a megabyte.")] = 10
    cause: Text | None = Field(None, description="Only of this cause, as `/quarantine` names it.")


class CountsShape(BaseModel):
    """What became of events: received = written + duplicate + rejected + filtered + in flight + lost."""

    received: int
    written: int
    duplicate: int
    rejected: int
    filtered: int
    in_flight: int
    lost: int
    recovered: int = Field(description="Of those lost: read back from history.")
    balances: bool


class LedgerRowShape(CountsShape):
    """The counts of a home's source in an hour."""

    hour: str = Field(json_schema_extra={"format": "date-time"})
    home: str
    source: str


class LedgerShape(BaseModel):
    """The ledger, oldest first."""

    rows: list[LedgerRowShape]
    total: CountsShape
    verdict: str = Field(description="In a sentence whether everything is accounted for.")
    newest_missing: str = Field(description="Why the newest counts are not among these; mostly empty.")


class GapShape(BaseModel):
    """A time in which a home could not be heard, and how far it is filled."""

    gap_id: str
    home: str
    listener: str
    reason: str
    start: str = Field(json_schema_extra={"format": "date-time"})
    end: str | None = Field(json_schema_extra={"format": "date-time"}, description="Null: it is not over.")
    state: str
    ended: bool = Field(description="Nothing more will happen to it.")
    why: str
    event_types: list[str] = Field(description="Types that cannot be read back from anywhere.")
    lost: dict[str, int] = Field(description="Missing for good, by type.")
    counts: dict[str, int]
    entities: list[str] = Field(description="Only these are read back; none: all.")


class GapItems(BaseModel):
    """Gaps, the newest first."""

    waiting: int = Field(description="Gaps that have not ended.")
    items: list[GapShape]


class CauseShape(BaseModel):
    """Pieces that were refused for the same reason on behalf of the same entity or topic."""

    cause: str
    home: str
    reason: str
    subject: str
    pieces: int
    seen: int
    bytes: int
    first_seen: str = Field(json_schema_extra={"format": "date-time"})
    last_seen: str = Field(json_schema_extra={"format": "date-time"})
    example_id: int
    example: str


class CauseItems(BaseModel):
    """Causes, that with most pieces first."""

    pieces: int = Field(description="Pieces that are kept, of all causes.")
    bytes: int
    evicted: int = Field(description="Pieces that the limits have pushed out so far.")
    items: list[CauseShape]


class PieceShape(BaseModel):
    """A piece that could not be used; secrets in it stay redacted."""

    id: int
    cause: str
    received: str = Field(json_schema_extra={"format": "date-time"})
    last_seen: str = Field(json_schema_extra={"format": "date-time"})
    seen: int
    attempts: int
    batch_id: str
    slot: int
    home: str
    source: str
    kind: str
    topic: str
    form: str
    subject: str
    reason: str
    detail: str
    diagnosis: str = Field(description="What happened, and what to do.")
    whole: bool
    raw: str


class PieceItems(BaseModel):
    """Pieces, the newest first."""

    items: list[PieceShape]


def ledger_of(means: Means, asked: LedgerSpan) -> LedgerShape:
    """Return the ledger; blocks. Raises Unanswerable where that is too much, NotFound, StoreUnavailable."""
    check_home(means.settings, asked.home, means.metadata)
    until_ns = asked.until if asked.until is not None else time.time_ns()
    since_ns = asked.since if asked.since is not None else max(0, until_ns - _DAY_NS)
    check_times(since_ns, until_ns)
    span = (hour_of(since_ns), -(-until_ns // _S))
    rows, stale = read_ledger(means.settings, means.metadata(), asked.home, *span)
    if len(rows) > _MOST_ROWS:
        raise errors.Unanswerable(f"{len(rows):,} rows are more than {_MOST_ROWS:,}: ask for a shorter time")
    total = Counts()
    for row in rows:
        total.add(row.counts)
    told = [LedgerRowShape.model_validate(row_object(row)) for row in rows]
    whole = CountsShape.model_validate(figures(total))
    return LedgerShape(rows=told, total=whole, verdict=verdict(rows, total), newest_missing=stale)


def gaps_of(means: Means, asked: GapList) -> GapItems:
    """Return gaps; blocks. Raises NotFound, StoreUnavailable."""
    check_home(means.settings, asked.home, means.metadata)
    gaps = bootstrap.open_gaps(means.settings, means.metadata())
    found = gaps.list(home=asked.home, since_us=(asked.since or 0) // _NS_PER_US, limit=asked.limit)
    waiting = len(gaps.list(home=asked.home, unended_only=True, limit=_MOST_ROWS))
    return GapItems(waiting=waiting, items=[GapShape.model_validate(gap_object(gap)) for gap in found])


def gap_of(means: Means, gap_id: str) -> GapShape:
    """Return one gap; blocks. Raises NotFound, StoreUnavailable."""
    gap = bootstrap.open_gaps(means.settings, means.metadata()).find(gap_id)
    if gap is None:
        raise errors.NotFound(f"there is no gap {gap_id!r:.200}")
    return GapShape.model_validate(gap_object(gap))


def causes_of(means: Means, asked: CauseList) -> CauseItems:
    """Return what could not be used, by cause; blocks. Raises StoreUnavailable."""
    quarantine = bootstrap.open_quarantine(means.settings, means.metadata())
    totals = quarantine.totals()
    items = [CauseShape.model_validate(cause_object(one)) for one in quarantine.causes(asked.limit)]
    return CauseItems(pieces=totals.pieces, bytes=totals.bytes, evicted=totals.evicted, items=items)


def pieces_of(means: Means, asked: PieceList) -> PieceItems:
    """Return single pieces; blocks. Raises StoreUnavailable."""
    quarantine = bootstrap.open_quarantine(means.settings, means.metadata())
    found = quarantine.list(asked.limit, Chosen(cause=asked.cause or ""))
    return PieceItems(items=[PieceShape.model_validate(piece_object(one)) for one in found])


def piece_of(means: Means, piece_id: int) -> PieceShape:
    """Return one piece; blocks. Raises NotFound, StoreUnavailable."""
    found = bootstrap.open_quarantine(means.settings, means.metadata()).list(1, Chosen(ids=(piece_id,)))
    if not found:
        raise errors.NotFound(f"there is no piece {piece_id}")
    return PieceShape.model_validate(piece_object(found[0]))


@router.get("/ledger", response_model=LedgerShape, responses=UNANSWERABLE | NOT_FOUND)
async def list_ledger(asked: Annotated[LedgerSpan, Query()], means: Asking) -> Response:
    """Return what became of every event received, by hour and source, and whether the balance holds."""
    return json_answer(await means.other(lambda: as_json(ledger_of(means, asked))))


@router.get("/gaps", response_model=GapItems, responses=NOT_FOUND)
async def list_gaps(asked: Annotated[GapList, Query()], means: Asking) -> Response:
    """Return times in which a home could not be heard, and how far they are filled from its history."""
    return json_answer(await means.other(lambda: as_json(gaps_of(means, asked))))


@router.get("/gaps/{gap_id}", response_model=GapShape, responses=NOT_FOUND)
async def read_gap(gap_id: Annotated[str, Path(description="As `/gaps` names it.")], means: Asking) -> Response:
    """Return one gap."""
    return json_answer(await means.other(lambda: as_json(gap_of(means, gap_id))))


@router.get("/quarantine", response_model=CauseItems)
async def list_causes(asked: Annotated[CauseList, Query()], means: Asking) -> Response:
    """Return what could not be used, by cause."""
    return json_answer(await means.other(lambda: as_json(causes_of(means, asked))))


@router.get("/quarantine/pieces", response_model=PieceItems)
async def list_pieces(asked: Annotated[PieceList, Query()], means: Asking) -> Response:
    """Return single pieces, the newest first, with their bytes."""
    return json_answer(await means.other(lambda: as_json(pieces_of(means, asked))))


@router.get("/quarantine/pieces/{piece_id}", response_model=PieceShape, responses=NOT_FOUND)
async def read_piece(piece_id: Annotated[int, Path(ge=1, le=LAST_ID)], means: Asking) -> Response:
    """Return one piece: what happened, what to do, and its bytes."""
    return json_answer(await means.other(lambda: as_json(piece_of(means, piece_id))))
