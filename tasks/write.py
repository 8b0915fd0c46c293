"""The task `write`: an envelope round `ingestor.pipeline.write`."""

from __future__ import annotations

import time

from celery import Task, shared_task

from ingestor import errors, metrics
from ingestor.events.event import EventBatch
from ingestor.pipeline.replay import SOURCE as REPLAY
from ingestor.pipeline.write import Written
from ingestor.queue import message, names
from ingestor.storage.schema import delay_s
from tasks.envelope import envelope, patiently
from tasks.poison import goes_round
from tasks.resources import Resources, resources
from tasks.unreadable import put_aside_unreadable


@shared_task(name=names.WRITE_BATCH, bind=True)
def write_batch(self: Task[..., None], body: bytes) -> None:
    """Write events to the store, and only then tell the journal that they are done."""
    with envelope(self, names.TaskType.WRITE, body) as line:
        held = resources()
        if goes_round(self.request, held.state):
            return
        try:
            batch = message.decode_events(body)
        except errors.UnreadableMessage as error:
            put_aside_unreadable(self, body, error)
            return
        line.update(batch=batch.batch_id, source=batch.source, home=batch.home, events=len(batch.events))
        written = patiently(lambda: _write(held, batch))
        if written.quarantined:
            patiently(lambda: held.quarantine.put(written.quarantined))
        if written.late:
            _remember(held, batch.home, written)
        if held.live_feed is not None:
            # Before the mark: who is killed here has its batch sent again, and tells of it again.
            held.live_feed.tell(batch, written.told)
        patiently(lambda: held.done.put(batch.journal, written.mark))
        line.update(
            points=written.points,
            rejected=len(written.quarantined),
            lag_ms=written.mark.lag_ns // 1_000_000,
            span_ms=_span_ns(batch) // 1_000_000,
        )
        _count(written, replayed=batch.source == REPLAY)
        if batch.source != REPLAY:
            _time(batch)
            if held.settings.quality.over_time.enabled:
                held.arrivals.watch(batch, written.mark.settled)


def _write(held: Resources, batch: EventBatch) -> Written:
    # Before any work: while the store is away each look costs one call.
    held.breaker.ready()
    return held.writer.write(batch)


def _span_ns(batch: EventBatch) -> int:
    """Return for how long after its first event the last one of a batch came: so much less is its lag."""
    events = batch.events
    return max(0, events[-1].received_ns - events[0].received_ns) if events else 0


def _remember(held: Resources, home: str, written: Written) -> None:
    """Remember whose cause is to be looked up again: before the batch is done, so that a kill in between costs none."""
    let_go = patiently(lambda: held.late_post.put(home, written.late, time.time()))
    if let_go:
        metrics.counter("ingestor_late_causes_total", outcome="let_go").inc(let_go)


def _time(batch: EventBatch) -> None:
    """Count how late the slowest event was heard and is stored, by the time at which it was fired."""
    now_ns = time.time_ns()
    delays = [
        (delay, event.received_ns) for event in batch.events if (delay := delay_s(event, event.received_ns)) is not None
    ]
    if delays:
        metrics.histogram("ingestor_receive_delay_seconds").observe(max(0.0, max(delays)[0]))
        slowest_s = max(delay + (now_ns - received_ns) / 1e9 for delay, received_ns in delays)
        metrics.histogram("ingestor_write_delay_seconds").observe(max(0.0, slowest_s))


def _count(written: Written, *, replayed: bool) -> None:
    if not replayed:  # it lay in quarantine: that is nobody's lag
        metrics.histogram("ingestor_lag_seconds").observe(written.mark.lag_ns / 1e9)
    if written.moved:
        metrics.counter("ingestor_tie_breaks_total").inc(written.moved)
    if written.repaired:
        metrics.counter("ingestor_points_repaired_total").inc(written.repaired)
    for piece in written.quarantined:
        metrics.counter("ingestor_rejections_total", reason=piece.reason).inc()
