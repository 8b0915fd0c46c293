"""The task `weather`: one refresh for all workers, the past of days that history needs, and the degree days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import structlog
from celery import shared_task

from ingestor import errors
from ingestor.events.decoding import UNREADABLE
from ingestor.home.facts import HomeFacts
from ingestor.home.observation import Observation
from ingestor.home.watched import Series
from ingestor.home.watched_redis import RedisWatched
from ingestor.queue import names
from ingestor.queue.state import state_errors
from ingestor.settings import HomeSettings
from ingestor.storage.breaker import GuardedStore
from ingestor.weather.degree_days import DegreeDay, bounds_us, degree_day, point_of
from ingestor.weather.desk import day_of_us, read_days
from ingestor.weather.opening import open_desk, series_of
from tasks.asking import ask_if_possible
from tasks.resources import Resources, resources

_log: Final = structlog.get_logger("tasks")
_EXPIRES_S: Final = 50
#: Days that are still written after an outage.
_CAUGHT_UP_DAYS: Final = 14
#: A value from before midnight holds into the day.
_BEFORE_US: Final = 3 * 3600 * 1_000_000


@shared_task(name=names.REFRESH_ALL_WEATHER)
def refresh_all() -> None:
    """Enqueue a look at the weather of every home: it asks nobody where it is fresh."""
    for home in resources().settings.all_homes():
        ask_if_possible(names.REFRESH_WEATHER, names.TaskType.WEATHER, home.name, expires_s=_EXPIRES_S)


@shared_task(name=names.REFRESH_WEATHER)
def refresh(home: str) -> None:
    """Fetch a home's weather if it is due, and write the degree days of days that are over, each once."""
    held = resources()
    wanted = held.settings.home_named(home)
    if wanted is None:
        return
    try:
        held.facts.refresh()
        facts = held.facts.facts(home)
        _refresh(held, wanted, facts)
        write_degree_days(held, wanted, facts)
    except errors.IngestorError as error:
        # Events go on with what is known; the next beat tries again.
        _log.warning("weather_not_refreshed", home=home, error=str(error), kind=type(error).__name__)


def _refresh(held: Resources, home: HomeSettings, facts: HomeFacts) -> None:
    desk = open_desk(held.settings, home, facts, held.state)
    phase = "none" if desk is None else desk.refresh()
    if phase not in ("fresh", "none"):
        _log.info("weather_refreshed", home=home.name, phase=phase)


def write_degree_days(held: Resources, home: HomeSettings, facts: HomeFacts) -> None:
    """Write the degree days of each day that is over and was not written yet, up to two weeks back.

    A day of which too little is known gets none. A day that the provider can tell, but does not now, is tried again.
    """
    zone = _zone(facts)
    if zone is None:
        return
    yesterday = datetime.now(UTC).astimezone(zone).date() - timedelta(days=1)
    book = _read_book(held, home.name, yesterday)
    waiting = book.waiting(yesterday)
    if not waiting:
        return
    looking = _Looking(held, home, facts, zone, _seen(held, home.name, facts))
    over = [day for day in waiting if _write_day(looking, day)]
    if over:
        book.done = sorted({*book.done, *over} & set(book.days(yesterday)))
        with state_errors():
            held.state.set(_book_key(home.name), msgspec.json.encode(book))


class _Book(msgspec.Struct):
    """Which days of a home are done with, from the first one that we were there for."""

    since: date
    done: list[date] = msgspec.field(default_factory=list)

    def days(self, last: date) -> list[date]:
        """Return the days that may still be written, oldest first."""
        days = [last - timedelta(days=number) for number in range(_CAUGHT_UP_DAYS)]
        return [day for day in reversed(days) if day >= self.since]

    def waiting(self, last: date) -> list[date]:
        """Return those of them that are not done with."""
        return [day for day in self.days(last) if day not in self.done]


def _read_book(held: Resources, home: str, yesterday: date) -> _Book:
    with state_errors():
        packed = held.state.get(_book_key(home))
    try:
        return _Book(yesterday) if packed is None else msgspec.json.decode(packed, type=_Book)
    except UNREADABLE:
        return _Book(yesterday)


def _book_key(home: str) -> str:
    return f"ha_ingestor:weather:{home}:degree_days"


def _zone(facts: HomeFacts) -> ZoneInfo | None:
    try:
        return ZoneInfo(facts.time_zone) if facts.time_zone else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


class _Looking(NamedTuple):
    """A home whose days are looked at; `seen` is what is remembered of its weather: the last day."""

    held: Resources
    home: HomeSettings
    facts: HomeFacts
    zone: ZoneInfo
    seen: Series | None

    def reckoned(self, day: date, known: Sequence[Observation]) -> DegreeDay | None:
        """Return what a day was, None where too little is known."""
        weather = self.held.settings.weather
        bases = {"heating_base_c": weather.heating_base_c, "cooling_base_c": weather.cooling_base_c}
        return degree_day(day, self.zone, known, **bases)


def _write_day(looking: _Looking, day: date) -> bool:
    """Write the degree days of a day, if enough of it is known; tell whether it is done with."""
    start_us, end_us = bounds_us(day, looking.zone)
    values = looking.seen.between(start_us - _BEFORE_US, end_us) if looking.seen else ()
    found, done = looking.reckoned(day, [value for value in values if isinstance(value, Observation)]), True
    if found is None:
        past, done = _past(looking, start_us, end_us)
        found = looking.reckoned(day, past)
    if found is not None:
        held, home = looking.held, looking.home.name
        GuardedStore(held.store, held.breaker).write([point_of(home, found)])
        _log.info("degree_day_written", home=home, day=found.day.isoformat(), mean_c=found.mean_c)
    return done


def _seen(held: Resources, home: str, facts: HomeFacts) -> Series | None:
    """Return what was observed of the weather, as far as it is remembered."""
    watched = RedisWatched(held.state)
    watched.exchange(home, ())
    return watched.series(home, series_of(held.settings.weather, facts))


def _past(looking: _Looking, start_us: int, end_us: int) -> tuple[list[Observation], bool]:
    """Return what the provider says of a past time, and whether there is no more to come."""
    held, home = looking.held, looking.home
    first, last = day_of_us(start_us), day_of_us(end_us - 1)
    desk = open_desk(held.settings, home, looking.facts, held.state) if held.settings.weather.historical else None
    if desk is None:
        return [], True
    if last >= datetime.now(UTC).date():
        return [], False  # it would be kept as the provider's last word on a day that is not over
    phase = desk.bring_days(first, last)
    both = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    days = read_days(held.state, home.name, both)
    known = [one for day in sorted(days) for one in days[day] if one.observed_us < end_us]
    return known, phase in ("ok", "fresh", "none")
