"""Tasks of type `quality` over time: judge the hours of the homes in short steps, look for signs of life; no logic."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog
from celery import shared_task

from ingestor import bootstrap_quality, errors
from ingestor.home.asking import ask_home, within
from ingestor.pipeline.quality_home import judging_lock
from ingestor.quality.book_sql import SqlQualityBook
from ingestor.quality.life import Life, heartbeats, signs_of
from ingestor.queue import names
from ingestor.queue.state import state_errors
from tasks.asking import ask_once
from tasks.resources import Resources, resources

if TYPE_CHECKING:
    import redis

_log: Final = structlog.get_logger("tasks")
#: With the longest answer of a store (10 s) a step stays below 20 s (rule 19).
_STEP_S: Final = 8.0
_ANSWER_S: Final = 10.0
#: One task of a home waits in the queue at most; this long, if it is lost.
_QUEUED_S: Final = 60
#: The store has a moment to itself between two steps.
_REST_S: Final = 2.0


@shared_task(name=names.JUDGE_ALL)
def judge_all() -> None:
    """Enqueue a step for each home, and let go what is old."""
    held = resources()
    over_time = held.settings.quality.over_time
    if not over_time.enabled:
        return
    try:
        for home in held.settings.all_homes():
            _enqueue(held.state, home.name)
        SqlQualityBook(held.database).trim(time.time_ns() // 1000, over_time.hours_days, over_time.days)
    except errors.IngestorError as error:
        _log.warning("judging_not_enqueued", error=str(error), kind=type(error).__name__)


@shared_task(name=names.JUDGE)
def judge(home: str) -> None:
    """Judge hours of a home for a step; more to do is enqueued."""
    held = resources()
    try:
        with state_errors():
            held.state.delete(_queued_key(home))
        with judging_lock(held.state, home) as mine:
            more = mine and _work(held, home)
        if more:
            _enqueue(held.state, home, _REST_S)
    except errors.IngestorError as error:
        # Beat comes again; every hour was kept with what the next one must know.
        _log.warning("judging_step_failed", home=home, error=str(error), kind=type(error).__name__)


@shared_task(name=names.LOOK_FOR_LIFE)
def look_for_life() -> None:
    """Note when each entity was last reported: once every few minutes, in one answer."""
    held = resources()
    over_time = held.settings.quality.over_time
    for home in held.settings.all_homes() if over_time.enabled else ():
        if not home.homeassistant.url:
            continue
        try:
            with ask_home(home, held.state, within(_ANSWER_S)) as client:
                signs = list(signs_of(client.get_states()))
            now_us = time.time_ns() // 1000
            Life(held.state).put(home.name, signs, now_us)
            if over_time.heartbeat:
                held.store.write(list(heartbeats(home.name, signs, now_us)))
        except errors.IngestorError as error:
            _log.warning("life_not_looked_for", home=home.name, error=str(error), kind=type(error).__name__)


def _work(held: Resources, home: str) -> bool:
    wanted = held.settings.home_named(home)
    if wanted is None:
        return False
    held.facts.refresh()
    roller = bootstrap_quality.open_hour_roller(
        held.settings,
        wanted,
        store=held.store,
        state=held.state,
        database=held.database,
        facts=held.facts.facts(home),
        feed=held.live_feed,
    )
    return roller.step(_STEP_S)


def _enqueue(state: redis.Redis[bytes], home: str, in_s: float = 0.0) -> None:
    queue = names.TaskType.QUALITY
    ask_once(state, _queued_key(home), names.JUDGE, queue, home, in_s=in_s, expires_s=_QUEUED_S)


def _queued_key(home: str) -> str:
    return f"ha_ingestor:judge:{home}:queued"
