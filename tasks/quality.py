"""The task `quality`: reconciles the homes' hours in short steps, looks at their attributes; decides nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from celery import shared_task

from ingestor import bootstrap_quality, errors
from ingestor.home.asking import ask_home, within
from ingestor.pipeline.reconcile_home import reconcile_lock
from ingestor.quality.attributes import attributes_of, look_at, to_leave_out
from ingestor.quality.attributes_store import LearnedAttributes
from ingestor.queue import names
from ingestor.queue.state import state_errors
from tasks.asking import ask_once
from tasks.resources import Resources, resources

if TYPE_CHECKING:
    import redis

_log: Final = structlog.get_logger("tasks")
#: With the longest answer of a store or of Home Assistant (10 s) a step stays below 20 s (rule 19).
_STEP_S: Final = 8.0
#: One task of a home waits in the queue at most; this long, if it is lost.
_QUEUED_S: Final = 60
#: Home Assistant has a moment to itself between two steps.
_REST_S: Final = 2.0


@shared_task(name=names.RECONCILE_ALL)
def reconcile_all() -> None:
    """Enqueue a step for each home."""
    held = resources()
    try:
        for home in held.settings.all_homes():
            _enqueue(held.state, home.name)
    except errors.IngestorError as error:
        _log.warning("reconciliation_not_enqueued", error=str(error), kind=type(error).__name__)


@shared_task(name=names.RECONCILE)
def reconcile(home: str) -> None:
    """Work a step on the hours of a home; more to do is enqueued."""
    held = resources()
    try:
        with state_errors():
            held.state.delete(_queued_key(home))
        with reconcile_lock(held.state, home) as mine:
            more = mine and _work(held, home)
        if more:
            _enqueue(held.state, home, _REST_S)
    except errors.IngestorError as error:
        # Beat comes again; the hour stands where it was saved last.
        _log.warning("reconciliation_step_failed", home=home, error=str(error), kind=type(error).__name__)


@shared_task(name=names.LOOK_AT_ATTRIBUTES)
def look_at_attributes() -> None:
    """Learn from the states of each home which attributes say something."""
    held = resources()
    for home in held.settings.all_homes():
        if not home.homeassistant.url:
            continue
        try:
            with ask_home(home, held.state, within(_STEP_S)) as client:
                states = client.get_states()
            kept = LearnedAttributes(held.database)
            learned = kept.load(home.name)
            look_at(learned, states)
            kept.save(home.name, learned)
            held.attributes.put(home.name, to_leave_out(attributes_of(learned)))
        except errors.IngestorError as error:
            _log.warning("attributes_not_looked_at", home=home.name, error=str(error), kind=type(error).__name__)


def _work(held: Resources, home: str) -> bool:
    wanted = held.settings.home_named(home)
    if wanted is None:
        return False
    reconciler = bootstrap_quality.open_reconciler(
        held.settings, wanted, store=held.store, state=held.state, database=held.database
    )
    return reconciler.step(_STEP_S)


def _enqueue(state: redis.Redis[bytes], home: str, in_s: float = 0.0) -> None:
    queue = names.TaskType.QUALITY
    ask_once(state, _queued_key(home), names.RECONCILE, queue, home, in_s=in_s, expires_s=_QUEUED_S)


def _queued_key(home: str) -> str:
    return f"ha_ingestor:reconcile:{home}:queued"
