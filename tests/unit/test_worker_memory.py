"""Memory that rare tasks took is given back once in a while; the steps of a batch are left alone."""

from __future__ import annotations

from ingestor.queue import names
from workers.memory import GivesBack, trimmer


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_memory_is_given_back_after_a_rare_task_and_not_again_at_once() -> None:
    clock, given = Clock(), list[float]()
    gives_back = GivesBack(lambda: given.append(clock.now_s), clock=clock)

    for now_s in (100.0, 101.0, 109.9, 110.0, 115.0, 125.0):
        clock.now_s = now_s
        gives_back.after(names.JUDGE)

    assert given == [100.0, 110.0, 125.0]


def test_the_steps_of_a_batch_keep_their_memory() -> None:
    given = list[str]()
    gives_back = GivesBack(lambda: given.append("all"))

    for step in (names.VALIDATE_BATCH, names.ENRICH_BATCH, names.WRITE_BATCH):
        gives_back.after(step)

    assert not given


def test_free_memory_goes_back_whatever_the_c_library_is() -> None:
    trimmer()()
