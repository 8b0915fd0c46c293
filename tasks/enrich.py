"""The task `enrich`: an envelope round `ingestor.pipeline.enrich`."""

from __future__ import annotations

import time

from celery import Task, shared_task

from ingestor import errors
from ingestor.events.late import overtaken
from ingestor.pipeline.enrich import enrich
from ingestor.queue import message, names
from tasks.envelope import envelope, hand_on, patiently
from tasks.fetching import fetch_soon
from tasks.poison import goes_round
from tasks.resources import resources
from tasks.unreadable import put_aside_unreadable


@shared_task(name=names.ENRICH_BATCH, bind=True)
def enrich_batch(self: Task[..., None], body: bytes) -> None:
    """Give events their context and hand them on to `write`; what waits for the home's map comes back here."""
    with envelope(self, names.TaskType.ENRICH, body) as line:
        held = resources()
        if goes_round(self.request, held.state):
            return
        try:
            batch = message.decode_events(body)
        except errors.UnreadableMessage as error:
            put_aside_unreadable(self, body, error)
            return
        line.update(batch=batch.batch_id, source=batch.source, home=batch.home, events=len(batch.events))
        patiently(held.home_map.refresh)
        patiently(held.facts.refresh)
        found = enrich(
            batch,
            held.home_map,
            now_ns=time.time_ns(),
            wait_s=held.settings.workers.unknown_wait_s,
            steps=held.steps,
            facts=held.facts.facts(batch.home),
        )
        if found.overtaken:
            late = [overtaken(one) for one in found.overtaken]
            patiently(lambda: held.late_post.put(batch.home, late, time.time()))
        if found.ran_often:
            fetch_soon(held.state, batch.home, found.ran_often)
        if found.ready is not None:
            ready = found.ready
            patiently(lambda: hand_on(names.TaskType.WRITE, names.WRITE_BATCH, ready))
        if found.held is not None:
            waiting = found.held
            line.update(held=len(waiting.events))
            patiently(lambda: hand_on(names.TaskType.ENRICH, names.ENRICH_BATCH, waiting, countdown_s=found.retry_in_s))
