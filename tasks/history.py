"""The task `history`: fills gaps in short steps, one at a time in the whole installation; decides nothing itself."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from celery import current_app, shared_task

from ingestor import bootstrap, errors
from ingestor.events.counts import Page
from ingestor.events.decoding import UNREADABLE
from ingestor.home.asking import ask_home, within
from ingestor.home.history import MapHistory
from ingestor.pipeline.history import GapFiller, Step
from ingestor.pipeline.history_batches import Shipment
from ingestor.pipeline.history_recovered import settled
from ingestor.pipeline.history_sent import RedisSentBatches
from ingestor.queue import names
from ingestor.queue.gauge import BrokerGauge
from ingestor.queue.locking import only_one
from ingestor.queue.producer import Producer
from ingestor.queue.state import state_errors
from ingestor.settings import HomeSettings
from ingestor.storage.gaps import DROPPED, GapRecord, Gaps, GapState, gap_id_of
from ingestor.weather.desk import day_of_us
from ingestor.weather.opening import open_desk
from tasks.asking import ask_once
from tasks.resources import Resources, resources

if TYPE_CHECKING:
    import redis

_log: Final = structlog.get_logger("tasks")
#: Reading for so long, then waiting for what was sent: below 20 s together (rule 19). Others want the node too.
_STEP_S: Final = 6.0
#: A step that died holds the lock no longer than the hard time limit.
_LOCK_S: Final = 40.0
#: One task of a home waits in the queue at most; this long, if it is lost.
_QUEUED_S: Final = 30
_AWAY_S: Final = 10.0
_NOTED_S: Final = 86_400
#: History goes into queues that are nearly empty: live events come first.
_SHALLOW: Final = 0.125


@shared_task(name=names.LOOK_FOR_GAPS)
def look_for_gaps() -> None:
    """Enqueue a step for each home with gaps to fill; also for those whose last step was killed."""
    held = resources()
    try:
        waiting = _gaps(held).list(unended_only=True)
        for home in {gap.home for gap in waiting if gap.state is GapState.FILLING}:
            _enqueue(held.state, home)
    except errors.IngestorError as error:
        _log.warning("gaps_not_looked_for", error=str(error), kind=type(error).__name__)


@shared_task(name=names.FILL_GAPS)
def fill_gaps(home: str) -> None:
    """Work a step on the oldest gap of a home that is to be filled; more to do is enqueued."""
    held = resources()
    try:
        with state_errors():
            held.state.delete(_queued_key(home))
        # Of two processes for rare work one is left for the others.
        with only_one(held.state, "history", for_s=_LOCK_S) as mine:
            again_in_s = _work(held, home) if mine else 2.0
        if again_in_s is not None:
            _enqueue(held.state, home, again_in_s)
    except errors.IngestorError as error:
        # Beat looks again; the gap stands where it was saved last.
        _log.warning("gap_step_failed", home=home, error=str(error), kind=type(error).__name__)


class _Told(msgspec.Struct, frozen=True):
    """What a listener tells of a gap."""

    home: str
    listener: str
    reason: str
    start_us: int
    end_us: int = 0
    events: int = 0
    lost: dict[str, int] = {}
    event_types: list[str] = []


@shared_task(name=names.NOTE_GAP)
def note_gap(body: bytes) -> None:
    """Keep a gap that a listener tells of, and let it know; where that fails it tells again."""
    held = resources()
    try:
        told = msgspec.json.decode(body, type=_Told)
        gap_id = gap_id_of(told.home, told.listener, told.start_us)
        _gaps(held).observe(
            GapRecord(
                gap_id=gap_id,
                home=told.home,
                listener=told.listener,
                reason=told.reason,
                start_us=told.start_us,
                end_us=told.end_us,
                event_types=tuple(told.event_types),
                lost=told.lost,
                counts={DROPPED: told.events} if told.events else {},
            )
        )
        with state_errors():
            held.state.set(names.gap_noted_key(gap_id), told.end_us, ex=_NOTED_S)
        if told.end_us:
            _enqueue(held.state, told.home)
    except UNREADABLE as error:
        _log.warning("gap_unreadable", error=str(error))
    except errors.IngestorError as error:
        _log.warning("gap_not_noted", error=str(error), kind=type(error).__name__)


def _work(held: Resources, home: str) -> float | None:
    """Work for a step's time; return in how many seconds there is more to do, None for nothing."""
    wanted, gaps = held.settings.home_named(home), _gaps(held)
    until_s = time.monotonic() + _STEP_S
    while (gap := _oldest(gaps, home)) is not None:
        if wanted is None or not wanted.homeassistant.url:
            _end_unasked(gaps, gap, "there is no Home Assistant to ask in the settings")
            continue
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            return 0.0
        step = _step(held, wanted, gaps, gap, left_s)
        if step.again_in_s is not None:
            return step.again_in_s
    return None


def _oldest(gaps: Gaps, home: str) -> GapRecord | None:
    waiting = [gap for gap in gaps.list(home=home, unended_only=True) if gap.state is GapState.FILLING]
    return waiting[-1] if waiting else None


def _step(held: Resources, home: HomeSettings, gaps: Gaps, gap: GapRecord, budget_s: float) -> Step:
    with ask_home(home, held.state, within(_AWAY_S)) as client, _room(held) as room:
        # Behind the greeting: a home that does not answer is not asked for its weather as well.
        _bring_weather(held, home, gap)
        tasks = Producer(current_app)
        hand_in = functools.partial(_hand_in, held)
        sent = RedisSentBatches(held.state, home.name)
        shipment = Shipment(home.name, f"history-{home.name}", tasks, held.done, hand_in=hand_in, sent=sent)
        try:
            filler = GapFiller(
                client,
                held.store,
                shipment,
                series=functools.cache(lambda: MapHistory(held.database).load(home.name).series),
                room=room,
                save=functools.partial(_save, held, gaps),
            )
            return filler.step(gap, budget_s)
        finally:
            tasks.close()


def _save(held: Resources, gaps: Gaps, gap: GapRecord) -> None:
    """Keep how far a gap is; what it had lost and is stored now is settled in the ledger before it counts as filled."""
    gaps.save(settled(gap, held.ledger_post, held.ledger))


def _bring_weather(held: Resources, home: HomeSettings, gap: GapRecord) -> None:
    """See that the weather of a gap's days is known before its events go out; where it cannot be, they go without.

    A long gap's days come step by step, ahead of its events: a step asks for two weeks at once.
    """
    if not held.settings.weather.historical or "weather" not in held.settings.enrichment.steps:
        return
    try:
        held.facts.refresh()
        desk = open_desk(held.settings, home, held.facts.facts(home.name), held.state)
        if desk is not None:
            desk.bring_days(day_of_us(gap.start_us), day_of_us(max(gap.start_us, gap.end_us - 1)))
    except errors.IngestorError as error:
        _log.warning("weather_of_gap_unknown", home=home.name, error=str(error), kind=type(error).__name__)


def _hand_in(held: Resources, pages: list[Page]) -> None:
    """Hand in what became of what was sent; where that fails, the next pages bring it along, if there are any."""
    try:
        held.ledger_post.put(pages)
    except errors.IngestorError as error:
        _log.warning("history_not_counted", home=pages[0].home, error=str(error))


@contextlib.contextmanager
def _room(held: Resources) -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether the queues are shallow and the broker has memory to spare."""
    gauge = BrokerGauge(current_app, names.PIPELINE)
    most = max(1, int(held.settings.queue.low_water * _SHALLOW))

    def room() -> bool:
        load = gauge.read()
        return max(load.depths.values(), default=0) < most and (load.memory_share or 0.0) < held.settings.broker.hold_at

    try:
        yield room
    finally:
        gauge.close()


def _enqueue(state: redis.Redis[bytes], home: str, in_s: float = 0.0) -> None:
    queue = names.TaskType.HISTORY
    ask_once(state, _queued_key(home), names.FILL_GAPS, queue, home, in_s=in_s, expires_s=_QUEUED_S)


def _end_unasked(gaps: Gaps, gap: GapRecord, why: str) -> None:
    gaps.save(replace(gap, state=GapState.NOT_FILLABLE, why=why, progress={}))


def _queued_key(home: str) -> str:
    return f"ha_ingestor:history:{home}:queued"


def _gaps(held: Resources) -> Gaps:
    return bootstrap.open_gaps(held.settings, held.database)
