"""How many nodes a pool has under a load that changes: pure logic in simulated time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest

from workers.autoscale import Autoscaler, Seen
from workers.flow import Flow, Taken

#: Batches a second that one node takes, and how long a node takes to start, in this little world.
NODE_PER_S = 10.0
STARTS_IN_S = 4.0


@dataclass
class World:
    """A queue and its nodes, looked at every half second as a supervisor does."""

    most: int = 16
    least: int = 1
    works: bool = True
    now_s: float = 1000.0
    waiting: float = 0.0
    taken: float = 0.0
    flow: Flow = field(default_factory=Flow)
    starting: list[float] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scaler = Autoscaler(grow_at_s=2.0)
        self.starting = [0.0] * self.least

    def run(self, seconds: float, per_s: float) -> None:
        for _ in range(int(seconds * 2)):
            self.now_s += 0.5
            self.waiting += per_s / 2
            ready = sum(1 for since in self.starting if self.now_s - since >= STARTS_IN_S)
            done = min(self.waiting, ready * NODE_PER_S / 2) if self.works else 0.0
            self.waiting -= done
            self.taken += done
            self.flow.note(self.now_s, int(self.waiting), int(self.taken))
            flow = self.flow
            seen = Seen(flow.age_s, flow.waiting, flow.come_per_s, flow.taken_per_s, ready, 1, flow.still_s)
            wanted = self.scaler.step(self.now_s, seen, self.least, self.most)
            self.starting = [*self.starting, *[self.now_s] * (wanted - len(self.starting))][:wanted]
            self.wanted.append(wanted)

    @property
    def turns(self) -> int:
        """How often the number went up after it had gone down, or down after it had gone up."""
        ways = [after > before for before, after in itertools.pairwise(self.wanted) if before != after]
        return sum(one != other for one, other in itertools.pairwise(ways))


def test_a_ten_fold_burst_is_answered_within_ten_seconds_and_given_back_within_two_minutes() -> None:
    world = World()
    world.run(60, per_s=5)
    assert set(world.wanted) == {1}

    world.run(10, per_s=50)
    assert world.wanted[-1] * NODE_PER_S >= 50
    world.run(60, per_s=50)
    assert world.flow.age_s < 1

    world.run(120, per_s=5)
    assert world.wanted[-1] == 1
    assert world.turns == 1


def test_nodes_that_had_just_started_are_all_given_back_too() -> None:
    scaler = Autoscaler(grow_at_s=2.0)
    scaler.step(0.0, Seen(2.5, 40, 14.0, 4.0, 1), 1, 8)
    wanted = scaler.step(8.5, Seen(3.0, 60, 20.0, 8.0, 5), 1, 8)  # four of the five have taken little yet

    assert wanted == 8
    for now_s in range(10, 200):
        wanted = scaler.step(float(now_s), Seen(0.0, 0, 2.0, 2.0, wanted), 1, 8)

    assert wanted == 1


def test_what_a_lasting_burst_needs_is_not_given_back_while_it_lasts() -> None:
    world = World()
    world.run(30, per_s=5)
    world.run(900, per_s=50)

    calm = world.wanted[120:]
    assert min(calm) * NODE_PER_S >= 50
    assert max(calm[600:]) - min(calm[600:]) == 0


@pytest.mark.parametrize("period_s", [10, 30, 60])
def test_a_load_that_comes_and_goes_does_not_make_the_number_flutter(period_s: int) -> None:
    world = World()
    for _ in range(600 // period_s):
        world.run(period_s / 2, per_s=60)
        world.run(period_s / 2, per_s=5)

    assert world.turns <= 2 * 600 / 80  # a node that is given back was calm for 20 s, twice as long after a mistake
    assert world.turns <= 8


def test_nodes_are_not_added_where_nobody_takes_anything() -> None:
    world = World()
    world.run(20, per_s=5)
    world.works = False

    world.run(120, per_s=5)

    assert world.flow.age_s > 100
    assert max(world.wanted) == 1


def test_bounds_hold_whatever_waits_and_may_change_at_any_time() -> None:
    world = World(most=3, least=2)
    world.run(60, per_s=500)
    assert world.wanted[-1] == 3

    world.most = world.least = 2
    world.run(1, per_s=500)
    assert world.wanted[-1] == 2


def test_of_several_hosts_each_adds_its_share() -> None:
    seen = Seen(age_s=5.0, waiting=100, come_per_s=90.0, taken_per_s=20.0, nodes=2, hosts=2)

    assert Autoscaler(2.0).step(0.0, seen, 1, 16) == 5  # ten nodes are needed, two are there: four more on each


def test_the_age_of_the_oldest_is_the_time_since_it_came() -> None:
    flow = Flow()
    for second in range(10):  # 4 come each second, 3 are taken
        flow.note(float(second), second, 3 * second)

    # 27 were taken; the 28th came with the 7th second's four.
    assert flow.age_s == pytest.approx(2.0)
    assert flow.come_per_s == pytest.approx(4.0)
    assert flow.taken_per_s == pytest.approx(3.0)


def test_an_empty_queue_has_no_age() -> None:
    flow = Flow()
    assert flow.age_s == 0.0
    flow.note(1.0, 5, 0)
    flow.note(9.0, 0, 5)

    assert flow.age_s == 0.0


def test_what_nodes_took_is_added_up_over_their_restarts() -> None:
    def told(pid: int, tasks: int) -> dict[str, object]:
        return {"type": "write", "pid": pid, "tasks": tasks}

    taken = Taken()
    taken.note({"write@a": told(1, 100)})
    taken.note({"write@a": told(1, 130), "write@b": told(9, 7)})
    taken.note({"write@b": told(9, 10)})
    taken.note({"write@a": told(2, 0), "write@b": told(9, 10)})
    taken.note({"write@a": told(2, 5), "write@b": told(9, 10)})

    assert taken.of("write") == 30 + 3 + 5
    assert taken.of("enrich") == 0
