"""How homes share the queues: two buckets before one worker, in simulated time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest

from ingestor.intake.bucket import LEAST_PER_S, HomeBucket


@dataclass
class World:
    """Homes that send batches of ten events into one queue, which is emptied at some events a second."""

    takes_per_s: float = 1000.0
    limited: bool = True
    now_s: float = 0.0
    queue: deque[tuple[str, float]] = field(default_factory=deque)
    journals: dict[str, deque[float]] = field(default_factory=dict)
    waits: dict[str, list[float]] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)

    def run(self, seconds: float, **per_s: float) -> None:
        buckets = {home: HomeBucket(clock=lambda: self.now_s) for home in per_s}
        made = dict.fromkeys(per_s, 0.0)
        credit = 0.0
        for tick in range(int(seconds * 100)):
            self.now_s += 0.01
            for home, bucket in buckets.items():
                made[home] += per_s[home] / 100
                journal = self.journals.setdefault(home, deque())
                while made[home] >= 10:
                    made[home] -= 10
                    journal.append(self.now_s)
                if tick % 10 == 0:
                    bucket.measured(len(self.queue))
                while journal and len(self.queue) < 200 and (bucket.has_room() or not self.limited):
                    self.queue.append((home, journal.popleft()))
                    bucket.sent(10)
            credit = min(credit + self.takes_per_s / 100, 20)
            while self.queue and credit >= 10:
                credit -= 10
                home, since_s = self.queue.popleft()
                self.waits.setdefault(home, []).append(self.now_s - since_s)
                self.taken[home] = self.taken.get(home, 0) + 10

    def p95_s(self, home: str) -> float:
        waits = sorted(self.waits[home])
        return waits[int(len(waits) * 0.95)]


def test_a_quiet_home_hardly_waits_while_another_sends_more_than_the_workers_take() -> None:
    starved = World(limited=False)
    starved.run(60, a=2000, b=50)
    world = World()
    world.run(60, a=2000, b=50)

    assert starved.p95_s("b") > 1
    assert world.p95_s("b") < 0.2


def test_the_workers_are_kept_busy_all_the_same() -> None:
    world = World()
    world.run(60, a=5000, b=50)

    assert sum(world.taken.values()) > 0.8 * 60 * 1000


def test_two_noisy_homes_come_to_share() -> None:
    world = World()
    world.run(60, a=3000, b=1000)

    assert 0.5 < world.taken["a"] / world.taken["b"] < 2


def test_without_a_crowd_nobody_is_held_back() -> None:
    world = World()
    world.run(30, a=500, b=50)

    assert world.p95_s("a") <= 0.02
    assert world.taken["a"] >= 14_900


def test_a_limit_that_is_set_holds_whatever_room_there_is() -> None:
    now_s, sent = 0.0, 0
    bucket = HomeBucket(most_per_s=100, clock=lambda: now_s)

    for _ in range(1000):
        now_s += 0.01
        bucket.measured(0)
        while bucket.has_room():
            bucket.sent(10)
            sent += 10

    assert 1000 <= sent <= 1120


def test_a_home_is_never_slowed_below_its_least() -> None:
    now_s = 0.0
    bucket = HomeBucket(clock=lambda: now_s)
    for _ in range(1000):
        now_s += 0.1
        if bucket.has_room():
            bucket.sent(100)
        bucket.measured(50)

    assert bucket.per_s == pytest.approx(LEAST_PER_S)
