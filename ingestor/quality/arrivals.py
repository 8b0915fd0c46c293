"""Counts in `write` how late each entity's events were heard and which came twice, by the hour; judges nothing.

Each process counts by itself and tells the state server now and then: no batch waits for it. A process that is killed
takes a few minutes of its counts along: they are a sketch, not the ledger.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import redis
import structlog

from ingestor import errors
from ingestor.events.event import EventBatch, Settled
from ingestor.quality.hours import HOUR_US, LAG_BUCKETS, LAG_ENDS_MS
from ingestor.queue.state import state_errors
from ingestor.storage.schema import READ_BACK

_ENDS_US: Final = tuple(end * 1000 for end in LAG_ENDS_MS)
#: Of all but the smallest batches one event in so many stands for its neighbours: a sketch needs no more, and an event
#: costs 0.2 us on its way.
_STRIDE: Final = 4
_SMALL: Final = 4
_TELL_EVERY_S: Final = 120.0
#: Entities, hours and buckets that a process remembers; more are told at once.
_MOST: Final = 20_000
#: An hour waits for what is still to be written for six hours at most.
_KEPT_S: Final = 7 * 3600
_TWICE: Final = -1
_log: Final = structlog.get_logger(__name__)


class Arrived(NamedTuple):
    """How late an hour's events were heard (by the buckets of LAG_ENDS_MS) and how many came twice, by entity_id."""

    lags: Mapping[str, tuple[int, ...]]
    duplicates: Mapping[str, int]


class Arrivals:
    """Counts the arrivals of this process, and tells what all have counted."""

    def __init__(self, state: redis.Redis[bytes], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._clock = clock
        self._counts: Counter[tuple[str, int, str | None, int]] = Counter()
        self._told_s = clock()
        self._turn = 0

    def watch(self, batch: EventBatch, settled: list[Settled]) -> None:
        """Take in a batch that was written, and what became of it. Never raises: no event waits for a sketch."""
        home, counts, events = batch.home, self._counts, batch.events
        stride = 1 if len(events) <= _SMALL else _STRIDE
        self._turn += 1
        for event in events[self._turn % stride :: stride]:
            if event.kind == "state" and not event.untimed and event.source not in READ_BACK:
                time_us = event.time_us
                bucket = bisect_left(_ENDS_US, event.received_ns // 1000 - time_us)
                counts[home, time_us // HOUR_US, event.entity_id, bucket] += stride
        for one in settled:
            if one.outcome == "duplicate":
                self._count_twice(batch, set(one.slots))
        if self._clock() - self._told_s >= _TELL_EVERY_S or len(counts) > _MOST:
            self.tell()

    def _count_twice(self, batch: EventBatch, slots: set[int]) -> None:
        for event in batch.events:
            if event.slot in slots and event.kind == "state" and event.source not in READ_BACK:
                self._counts[batch.home, event.time_us // HOUR_US, event.entity_id, _TWICE] += 1

    def tell(self) -> None:
        """Tell the state server what was counted; where it is away, the counts are let go."""
        self._told_s = self._clock()
        counts, self._counts = self._counts, Counter()
        try:
            with state_errors():
                pipe = self._state.pipeline(transaction=False)
                for (home, hour, entity_id, bucket), count in counts.items():
                    pipe.hincrby(_key(home, hour), f"{bucket} {entity_id}", count)
                for key in {_key(home, hour) for home, hour, _, _ in counts}:
                    pipe.expire(key, _KEPT_S)
                pipe.execute()
        except errors.StateUnavailable as error:
            _log.warning("arrivals_not_told", error=str(error), counts=len(counts))

    def of_hour(self, home: str, hour_us: int) -> Arrived:
        """Return what was counted of an hour. Raises StateUnavailable."""
        with state_errors():
            told = self._state.hgetall(_key(home, hour_us // HOUR_US))
        lags: dict[str, list[int]] = {}
        duplicates: dict[str, int] = {}
        for name, count in told.items():
            bucket, _, entity_id = name.decode("utf-8", "replace").partition(" ")
            if int(bucket) == _TWICE:
                duplicates[entity_id] = int(count)
            else:
                lags.setdefault(entity_id, [0] * LAG_BUCKETS)[int(bucket)] += int(count)
        return Arrived({entity_id: tuple(counts) for entity_id, counts in lags.items()}, duplicates)


def _key(home: str, hour: int) -> str:
    return f"ha_ingestor:quality:arrivals:{home}:{hour}"
