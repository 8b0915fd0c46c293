"""The task `validate`: an envelope round `ingestor.pipeline.validate`."""

from __future__ import annotations

import contextlib

from celery import Task, shared_task

from ingestor import errors, metrics
from ingestor.events.event import EventBatch
from ingestor.pipeline.validate import Validated, validate
from ingestor.queue import message, names
from ingestor.queue.done import DoneMark
from tasks.envelope import envelope, hand_on, patiently
from tasks.poison import goes_round
from tasks.resources import resources
from tasks.unreadable import BATCH_ID_LENGTH, put_aside_unreadable


@shared_task(name=names.VALIDATE_BATCH, bind=True)
def validate_batch(self: Task[..., None], body: bytes, attempt: int = 1, journal: str = "") -> None:
    """Decode and check a raw batch, put aside what cannot be used, hand the rest on to `enrich`."""
    with envelope(self, names.TaskType.VALIDATE, body) as line:
        held = resources()
        if goes_round(self.request, held.state):
            return
        try:
            harmful = held.trials.harmful_frames(body, attempt)
            raw = message.decode_raw(body)
        except errors.UnreadableMessage as error:
            if put_aside_unreadable(self, body, error) and journal:
                # Its slots are not known; it has ended all the same, and need not come again.
                ended = DoneMark(str(self.request.id)[:BATCH_ID_LENGTH], "store", 0, [], unread=True)
                patiently(lambda: held.done.put(journal, ended))
            return
        line.update(batch=raw.batch_id, source=raw.source, home=raw.home, frames=len(raw.frames), attempt=attempt)
        found = validate(raw, held.carries, harmful, patiently(lambda: held.gate_of(raw.home)))
        line.update(events=len(found.batch.events), rejected=len(found.quarantined))
        _put_aside(found)
        for (rule, severity), times in found.findings.items():
            metrics.counter("ingestor_quality_findings_total", rule=rule, severity=severity).inc(times)
        if found.batch.events:
            with contextlib.suppress(errors.StateUnavailable):
                held.clocks.watch(raw.home, found.batch.events[-1])
            patiently(lambda: hand_on(names.TaskType.ENRICH, names.ENRICH_BATCH, found.batch))
        else:
            _mark_done(found.batch)


def _put_aside(found: Validated) -> None:
    if found.quarantined:
        patiently(lambda: resources().quarantine.put(found.quarantined))
        for piece in found.quarantined:
            metrics.counter("ingestor_rejections_total", reason=piece.reason).inc()


def _mark_done(batch: EventBatch) -> None:
    """Tell the journal of a batch that has nothing to write."""
    mark = DoneMark(batch.batch_id, "store", batch.size, batch.settled)
    patiently(lambda: resources().done.put(batch.journal, mark))
