"""write: enriched events → points → store → done mark. Nothing is called written before the store has said so.

The way of one batch: claim its points in the index, which tells those that were written already (rule 6), build and
write the others, then record them. A claim drops nothing: it only keeps another event off the point (rule 5). The
record is atomic and returns what was there: where another worker wrote the same event from another source in between,
that is put right at once (`_settle_races`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import structlog

from ingestor import errors
from ingestor.events import decoding
from ingestor.events.counts import hour_of
from ingestor.events.event import Event, EventBatch, Outcome, Place, Settled
from ingestor.events.frame import RICHNESS
from ingestor.events.identity import batch_mark
from ingestor.events.late import LateCause
from ingestor.events.point import Point
from ingestor.live.entry import Told
from ingestor.queue.done import DoneMark, StoredIn
from ingestor.storage.port import PointSink, Rejection
from ingestor.storage.quarantine import Quarantined
from ingestor.storage.schema import PointBuilder, point_key, point_time_ns
from ingestor.storage.written import CLAIM, Mark, WrittenIndex

_DIGITS = 1000
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Job:
    """An event on its way to its point."""

    event: Event
    place: Place
    time_ns: int
    mark: Mark
    outcome: Outcome | None = None
    #: Its point was not there before, or only from this very batch.
    new: bool = True
    #: Its point was there already, from a poorer source, and has been written over.
    over: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch: the mark for the journal, pieces for the quarantine, tie-breaks that had to move."""

    mark: DoneMark
    quarantined: list[Quarantined]
    moved: int = 0
    points: int = 0
    #: Points with a value in a sibling field.
    repaired: int = 0
    #: Points whose cause may become known yet.
    late: list[LateCause] = field(default_factory=list)
    #: What those who listen now are to hear: each event once, by whichever road it came first.
    told: list[Told] = field(default_factory=list)


@dataclass(slots=True)
class _Tally:
    points: int = 0
    moved: int = 0
    repaired: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)


class Writer:
    """Writes batches to one store; `target` is the store's name in done marks."""

    def __init__(self, store: PointSink, builder: PointBuilder, index: WrittenIndex, *, target: str = "store") -> None:
        self._store = store
        self._builder = builder
        self._index = index
        self._target = target

    def write(self, batch: EventBatch, clock: Callable[[], int] = time.time_ns) -> Written:
        """Write a batch. Raises Transient errors (nothing of it may be assumed written) and StoreRefused."""
        tally = _Tally()
        own = batch_mark(batch.batch_id)
        jobs = [_job(batch, event, own) for event in batch.events]
        self._drop_known(batch.home, jobs, tally)
        todo = [job for job in jobs if job.outcome is None]
        self._store_jobs(batch, todo, tally)
        self._store_context(batch)
        stored = [job for job in todo if job.outcome == "written"]
        self._settle_races(batch, stored, tally)
        now_ns = clock()
        oldest_ns = min((event.received_ns for event in batch.events), default=now_ns)
        lag_ns = now_ns - oldest_ns
        mark = DoneMark(batch.batch_id, self._target, batch.size, _summary(batch, jobs), lag_ns, _stored(jobs))
        late = self._late(batch, jobs) if batch.unsettled else []
        return Written(mark, tally.quarantined, tally.moved, tally.points, tally.repaired, late, _told(jobs))

    def _drop_known(self, home: str, jobs: list[_Job], tally: _Tally) -> None:
        """Claim each event's point, decide which events are there already, move those whose point is another's."""
        taken: dict[bytes, _Job] = {}
        pending = jobs
        while pending:
            before = self._index.claim(home, [job.mark for job in pending])
            moved = [job for job, there in zip(pending, before, strict=True) if not _take(taken, job, there)]
            for job in moved:
                _move(home, job)
            tally.moved += len(moved)
            pending = moved

    def _store_jobs(self, batch: EventBatch, jobs: Sequence[_Job], tally: _Tally) -> None:
        points: list[Point] = []
        for job in jobs:
            try:
                built = self._points(batch, job)
            except errors.Rejected as error:
                job.outcome = "rejected"
                tally.quarantined.append(_piece(batch, job.event, error.reason, error.detail))
                continue
            # The `home-assistant` schema has no point for an entity that is unavailable, nor for other events.
            job.outcome = "written" if built else "filtered"
            points.extend(built)
        tally.points += len(points)
        if not points:
            return
        result = self._store.write(points)
        tally.repaired += result.repaired
        if not result.rejected:
            return
        by_slot = {job.event.slot: job for job in jobs}
        places: dict[int, list[int]] = {}
        for index, point in enumerate(points):
            places.setdefault(point.slot, []).append(index)
        for slot, refused in _by_slot(points, result.rejected).items():
            job = by_slot[slot]
            job.outcome = "rejected"
            stored = [points[index] for index in places[slot] if index not in refused]
            first, detail = next(iter(refused.values())), " · ".join(fault.detail for fault in refused.values())
            tally.quarantined.append(_piece(batch, job.event, first.reason, detail + _also(points, refused, stored)))

    def _store_context(self, batch: EventBatch) -> None:
        """Store what was found of the home's moments and entities; seldom anything. A refusal of it costs no event."""
        descriptions = self._builder.descriptions.waiting()
        points = self._builder.context_points(batch.home, batch.moments) + descriptions
        if not points:
            return
        refused = self._store.write(points).rejected
        self._builder.context_stored(batch.home, batch.moments)
        self._builder.descriptions.stored(descriptions)
        if refused:
            _log.warning("context_refused", home=batch.home, reason=refused[0].reason, detail=refused[0].detail)

    def _late(self, batch: EventBatch, jobs: Sequence[_Job]) -> list[LateCause]:
        """Return where those points stand whose cause is not settled; for what has no point there is nothing to say."""
        written = {job.event.slot: job for job in jobs if job.outcome == "written"}
        found: list[LateCause] = []
        for one in batch.unsettled:
            job = written.get(one.slot)
            bare = job and self._builder.bare_point(job.event, job.place, batch.home, job.time_ns)
            if bare:
                found.append(
                    LateCause(bare.measurement, bare.tags, bare.time_ns, one.context_id, one.starts, one.owner)
                )
        return found

    def _points(self, batch: EventBatch, job: _Job) -> list[Point]:
        index = job.event.moment
        moment = batch.moments[index] if index >= 0 else None
        return self._builder.points(job.event, job.place, batch.home, job.time_ns, moment)

    def _settle_races(self, batch: EventBatch, jobs: Sequence[_Job], tally: _Tally) -> None:
        """Record what was written; where somebody was faster in the meantime, write what sets it right."""
        pending = list(jobs)
        while pending:
            before = self._index.record(batch.home, [job.mark for job in pending])
            again: list[_Job] = []
            corrections: list[Point] = []
            for job, there in zip(pending, before, strict=True):
                if there is None:
                    continue
                # Of two that wrote it at the same time, the other was the first (unless it was ourselves, sent again).
                job.new = there.batch == job.mark.batch
                job.over = not job.new and there.richness < job.mark.richness
                if there.identity != job.mark.identity:
                    # Only where the index has forgotten a claim: go to the next free point.
                    job.new = True
                    _move(batch.home, job)
                    tally.moved += 1
                    again.append(job)
                elif there.richness > job.mark.richness:
                    corrections.extend(self._source_of(batch, job, there.richness))
                elif there.richness < job.mark.richness:
                    # A poorer twin may have written its fields over ours: write ours once more.
                    corrections.extend(self._points(batch, job))
            if corrections:
                self._store.write(corrections)
            if again:
                self._store_jobs(batch, again, tally)
            pending = again

    def _source_of(self, batch: EventBatch, job: _Job, richness: int) -> list[Point]:
        """Return the point that gives a richer twin its `source` back, all else being equal in both."""
        source = next(name for name, rank in RICHNESS.items() if rank == richness)
        points = self._points(batch, job)
        return [
            Point(point.measurement, point.tags, {"source": source}, point.time_ns, point.slot)
            for point in points
            if "source" in point.fields
        ]


def _job(batch: EventBatch, event: Event, own: int) -> _Job:
    place = batch.places[event.place]
    time_ns = point_time_ns(event)
    key = point_key(batch.home, place.series, event.kind, time_ns)
    return _Job(event, place, time_ns, Mark(key, event.identity, RICHNESS[event.source], own))


def _by_slot(points: Sequence[Point], rejected: Sequence[Rejection]) -> dict[int, dict[int, Rejection]]:
    """Return what was refused by event, then by place."""
    found: dict[int, dict[int, Rejection]] = {}
    for fault in rejected:
        found.setdefault(points[fault.index].slot, {})[fault.index] = fault
    return found


def _also(points: Sequence[Point], refused: Collection[int], stored: Sequence[Point]) -> str:
    """Return what to add where an event has more than one point (schema `both`): the piece stands for one of them."""
    if not stored:
        return ""
    ours = ", ".join(f"`{points[index].measurement}`" for index in refused)
    others = ", ".join(f"`{point.measurement}`" for point in stored)
    return f" · Refused is this event's point in {ours}; its point in {others} is stored."


def _take(taken: dict[bytes, _Job], job: _Job, there: Mark | None) -> bool:
    """Settle one event against what holds its point; False where that is another event."""
    if there is None:
        taken[job.mark.key] = job
        return True
    if there.identity != job.mark.identity:
        return False
    # Its own, where this very batch was sent before; who writes over a poorer twin of another batch was not the first.
    job.new = there.richness == CLAIM or there.batch == job.mark.batch
    job.over = not job.new and there.richness < job.mark.richness
    if there.richness >= job.mark.richness:
        job.outcome = "written" if job.new else "duplicate"
    first = taken.get(job.mark.key)
    if first is not None:
        poorer, job = sorted((job, first), key=lambda twin: (twin.mark.richness, twin is first))
        poorer.outcome = "duplicate"
    taken[job.mark.key] = job
    return True


def _move(home: str, job: _Job) -> None:
    """Take the next digit below the microsecond (rule 5)."""
    micros, digit = divmod(job.time_ns, _DIGITS)
    job.time_ns = micros * _DIGITS + (digit + 1) % _DIGITS
    key = point_key(home, job.place.series, job.event.kind, job.time_ns)
    job.mark = Mark(key, job.mark.identity, job.mark.richness, job.mark.batch)


def _summary(batch: EventBatch, jobs: Sequence[_Job]) -> list[Settled]:
    slots: dict[Outcome, list[int]] = {}
    for job in jobs:
        # Of an event that came by two roads the first is called written, also where the second wrote over it.
        outcome = "duplicate" if job.outcome == "written" and not job.new else job.outcome or "written"
        slots.setdefault(outcome, []).append(job.event.slot)
    return [*batch.settled, *(Settled(outcome, found) for outcome, found in slots.items())]


def _stored(jobs: Sequence[_Job]) -> list[StoredIn]:
    hours: dict[int, list[int]] = {}
    for job in jobs:
        if job.new and job.outcome == "written":
            hours.setdefault(hour_of(job.time_ns), []).append(job.event.slot)
    return [StoredIn(hour_s, slots) for hour_s, slots in hours.items()]


def _told(jobs: Sequence[_Job]) -> list[Told]:
    return [(job.event, job.time_ns, job.over) for job in jobs if job.outcome == "written" and (job.new or job.over)]


def _piece(batch: EventBatch, event: Event, reason: str, detail: str) -> Quarantined:
    raw = decoding.dumps({name: getattr(event, name) for name in event.__struct_fields__})
    return Quarantined(
        batch_id=batch.batch_id,
        slot=event.slot,
        home=batch.home,
        source=batch.source,
        reason=reason,
        detail=detail,
        raw=raw,
        received_ns=event.received_ns,
        kind=event.source,
        form="event",
    )
