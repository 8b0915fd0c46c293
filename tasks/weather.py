"""The task `weather`: one refresh for all workers, the past of days that history needs, and yesterday's degree days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from celery import current_app, shared_task

from ingestor import errors
from ingestor.home.facts import HomeFacts
from ingestor.home.observation import Observation
from ingestor.home.watched import Series
from ingestor.home.watched_redis import RedisWatched
from ingestor.queue import names
from ingestor.queue.state import state_errors
from ingestor.settings import HomeSettings
from ingestor.storage.breaker import GuardedStore
from ingestor.weather.degree_days import bounds_us, degree_day, point_of
from ingestor.weather.opening import open_desk, series_of
from tasks.resources import Resources, resources

_log: Final = structlog.get_logger("tasks")
_EXPIRES_S: Final = 50
_KEPT_S: Final = 7 * 24 * 3600
#: A value from before midnight holds into the day.
_BEFORE_US: Final = 3 * 3600 * 1_000_000


@shared_task(name=names.REFRESH_ALL_WEATHER)
def refresh_all() -> None:
    """Enqueue a look at the weather of every home: it asks nobody where it is fresh."""
    for home in resources().settings.all_homes():
        current_app.send_task(
            names.REFRESH_WEATHER, args=[home.name], queue=names.TaskType.WEATHER.value, expires=_EXPIRES_S
        )


@shared_task(name=names.REFRESH_WEATHER)
def refresh(home: str) -> None:
    """Fetch a home's weather if it is due, and write the degree days of the day before, once."""
    held = resources()
    wanted = held.settings.home_named(home)
    if wanted is None:
        return
    try:
        held.facts.refresh()
        facts = held.facts.facts(home)
        _refresh(held, wanted, facts)
        write_degree_day(held, home, facts)
    except errors.IngestorError as error:
        # Events go on with what is known; the next beat tries again.
        _log.warning("weather_not_refreshed", home=home, error=str(error), kind=type(error).__name__)


def _refresh(held: Resources, home: HomeSettings, facts: HomeFacts) -> None:
    desk = open_desk(held.settings, home, facts, held.state)
    phase = "none" if desk is None else desk.refresh()
    if phase not in ("fresh", "none"):
        _log.info("weather_refreshed", home=home.name, phase=phase)


def write_degree_day(held: Resources, home: str, facts: HomeFacts) -> None:
    """Write the degree days of a home's yesterday, unless that was done or too little of it is known."""
    try:
        zone = ZoneInfo(facts.time_zone) if facts.time_zone else None
    except (ZoneInfoNotFoundError, ValueError):
        return
    if zone is None:
        return
    yesterday = datetime.now(UTC).astimezone(zone).date() - timedelta(days=1)
    key = f"ha_ingestor:weather:{home}:degree_day"
    with state_errors():
        if held.state.get(key) == yesterday.isoformat().encode():
            return
    _write_day(held, home, facts, yesterday, zone)
    with state_errors():
        held.state.set(key, yesterday.isoformat(), ex=_KEPT_S)


def _write_day(held: Resources, home: str, facts: HomeFacts, day: date, zone: ZoneInfo) -> None:
    weather = held.settings.weather
    watched = RedisWatched(held.state)
    watched.exchange(home, ())
    series = watched.series(home, series_of(weather, facts))
    found = degree_day(
        day,
        zone,
        _observations(series, *bounds_us(day, zone)) if series else (),
        heating_base_c=weather.heating_base_c,
        cooling_base_c=weather.cooling_base_c,
    )
    if found is None:
        return
    GuardedStore(held.store, held.breaker).write([point_of(home, found)])
    _log.info("degree_day_written", home=home, day=found.day.isoformat(), mean_c=found.mean_c)


def _observations(series: Series, start_us: int, end_us: int) -> list[Observation]:
    return [value for value in series.between(start_us - _BEFORE_US, end_us) if isinstance(value, Observation)]
