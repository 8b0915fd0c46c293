"""Puts together what judges the hours of one home: store, map, gaps, quarantine, signs of life; judges nothing."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from ingestor.home.database import reading
from ingestor.home.history import MapHistory
from ingestor.pipeline.quality_hours import HourRoller, HourSources
from ingestor.pipeline.quality_told import device_errors
from ingestor.pipeline.reconcile_home import Board, under_way
from ingestor.quality.arrivals import Arrivals
from ingestor.quality.book_sql import DAY_US, SqlQualityBook
from ingestor.quality.clocks import HomeClocks
from ingestor.quality.life import Life
from ingestor.quality.stored_hours import Beside
from ingestor.quality.subjects import Subject
from ingestor.queue.locking import only_one
from ingestor.storage.gaps import RECONCILE, Gaps, GapState
from ingestor.storage.quarantine_tables import PIECES

if TYPE_CHECKING:
    import redis

    from ingestor.home.facts import HomeFacts
    from ingestor.live.feed import LiveFeed
    from ingestor.quality.model import Problem
    from ingestor.settings import HomeSettings, Settings
    from ingestor.storage.port import Store

_S_US: Final = 1_000_000
_HOUR_NS: Final = 3_600_000_000_000
#: Device classes whose sensors count, where nobody could ask Home Assistant for the state class.
_COUNTING: Final = frozenset({"energy", "gas", "water"})
#: A step that died holds the lock no longer than this: more than a task's hard time limit.
_LOCK_S: Final = 40.0


@dataclass(frozen=True, slots=True)
class Means:
    """What must be open to judge a home."""

    settings: Settings
    store: Store
    state: redis.Redis[bytes]
    database: sa.Engine
    gaps: Gaps
    facts: HomeFacts
    board: Board
    feed: LiveFeed | None = None


def home_roller(home: HomeSettings, means: Means) -> HourRoller:
    """Return what judges the hours of a home."""
    over_time = means.settings.quality.over_time
    life, arrivals = Life(means.state), Arrivals(means.state)

    def beside(hour_us: int) -> Beside:
        seen, came = life.of_hour(home.name, hour_us), arrivals.of_hour(home.name, hour_us)
        rejected = refused(means.database, home.name, hour_us)
        return Beside(seen.reported_us, seen.attributes, rejected, seen.state_classes, came.lags, came.duplicates)

    sources = HourSources(
        store=means.store if means.settings.storage.schema_ != "home-assistant" else None,
        subjects=functools.partial(subjects_of, means.database, means.facts, home.name),
        gaps=functools.partial(deaf_spans, means.gaps, home.name),
        beside=beside,
        ahead_s=lambda: HomeClocks(means.state).ahead_s().get(home.name),
        under_way=functools.partial(under_way, home, means.board, means.gaps),
    )
    return HourRoller(
        home.name,
        SqlQualityBook(means.database),
        sources,
        settle_us=int(over_time.settle_minutes * 60) * _S_US,
        look_back_us=int(over_time.look_back_days * DAY_US),
        points=over_time.points,
        tell=functools.partial(_tell, home.name, means.feed),
    )


def _tell(
    home: str, feed: LiveFeed | None, hour_us: int, found: Sequence[Problem], subjects: Mapping[str, Subject]
) -> None:
    if feed is not None:
        feed.notify(home, device_errors(home, hour_us, found, subjects, time.time_ns() // 1000))


def judging_lock(state: redis.Redis[bytes], home: str) -> AbstractContextManager[bool]:
    """Hold the home's lock, or yield False at once where another process judges it. Raises StateUnavailable."""
    return only_one(state, f"judge:{home}", for_s=_LOCK_S)


def subjects_of(database: sa.Engine, facts: HomeFacts, home: str) -> Mapping[str, Subject]:
    """Return what the map of a home says of its entities, by series. Raises StoreUnavailable."""
    hubs = {
        device.name: facts.devices[device.via_device_id].name
        for device in facts.devices.values()
        if device.via_device_id in facts.devices
    }
    found: dict[str, Subject] = {}
    for entry in MapHistory(database).load(home).entries:
        place = entry.place
        found[place.series] = Subject(
            place.series,
            entry.entity_id,
            entry.entity_id,
            place.domain,
            place.device_class,
            "total_increasing" if place.device_class in _COUNTING else "",
            area=place.area,
            device=place.device,
            integration=place.integration,
            via=hubs.get(place.device, ""),
        )
    return found


def deaf_spans(gaps: Gaps, home: str, start_us: int, end_us: int) -> Sequence[tuple[int, int]]:
    """Return when a home was not heard and what it said was not read back either. Raises StoreUnavailable."""
    return [
        (gap.start_us, gap.end_us or time.time_ns() // 1000)
        for gap in gaps.list(home=home, since_us=start_us)
        if gap.start_us < end_us and gap.state is not GapState.FILLED and gap.reason != RECONCILE and not gap.entities
    ]


def refused(database: sa.Engine, home: str, hour_us: int) -> Mapping[str, int]:
    """Return how many pieces of an hour are in quarantine, by who they are about. Raises StoreUnavailable."""
    since_ns = hour_us * 1000
    query = (
        sa.select(PIECES.c.subject, sa.func.sum(PIECES.c.count))
        .where(PIECES.c.home == home, PIECES.c.received_ns >= since_ns, PIECES.c.received_ns < since_ns + _HOUR_NS)
        .group_by(PIECES.c.subject)
    )
    with reading(database) as connection:
        return {subject: int(count) for subject, count in connection.execute(query) if subject}
