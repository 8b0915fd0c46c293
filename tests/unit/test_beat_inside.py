"""Beat as a thread of a worker node: it ticks, its node ends with it, and a hanging one is noticed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from celery.signals import beat_init

from workers.beat_inside import BeatInside

ENOUGH_S = 30.0


@pytest.fixture(autouse=True)
def nobody_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no other test's `workers.app` hear that a beat begins: its heartbeat would go on through all that follow."""
    monkeypatch.setattr(beat_init, "receivers", [])


class Schedule:
    """A scheduler that does as it is told."""

    def __init__(self, tick: Callable[[], float]) -> None:
        self.tick = tick
        self.closed = threading.Event()
        self.lock_key = None  # of RedBeat, which listens in where it is loaded: nothing to lock

    def close(self) -> None:
        self.closed.set()


class Service:
    """Holds a scheduler. (A signal's sender must be hashable.)"""

    def __init__(self, scheduler: Schedule) -> None:
        self.scheduler = scheduler


def beat_of(schedule: Schedule, failed: threading.Event, **options: Any) -> BeatInside:
    return BeatInside(Celery(set_as_current=False), failed.set, service=Service(schedule), **options)


def test_it_ticks_until_it_is_stopped_and_then_gives_its_lock_back() -> None:
    ticks, often = [0], threading.Event()

    def tick() -> float:
        ticks[0] += 1
        if ticks[0] > 2:
            often.set()
        return 0.001

    schedule, failed = Schedule(tick), threading.Event()
    beat = beat_of(schedule, failed)

    beat.start()
    assert often.wait(ENOUGH_S)
    beat.stop()

    assert schedule.closed.wait(ENOUGH_S)
    beat.check()
    assert not failed.is_set()


def test_what_ends_it_ends_its_node() -> None:
    def tick() -> float:
        raise RuntimeError("lock lost")

    failed = threading.Event()

    beat_of(Schedule(tick), failed).start()

    assert failed.wait(ENOUGH_S)


def test_one_that_hangs_is_noticed() -> None:
    hanging, free = threading.Event(), threading.Event()

    def tick() -> float:
        hanging.set()
        free.wait(ENOUGH_S)
        return 1.0

    failed = threading.Event()
    beat = beat_of(Schedule(tick), failed, silent_s=0.0)
    beat.start()
    assert hanging.wait(ENOUGH_S)

    beat.check()

    assert failed.is_set()
    free.set()
    beat.stop()
