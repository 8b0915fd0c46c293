"""Trying pieces in processes that may die: the harmful ones are named, and their neighbours are not."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ingestor import errors
from ingestor.events.frame import Frame, RawBatch, new_batch_id
from ingestor.pipeline.rehearsal import rehearse
from ingestor.pipeline.trial import attempt, find_harmful
from ingestor.settings import Settings


def kill_oneself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def read_nowhere() -> None:
    faulthandler.disable()  # pytest's would tell of it at length
    ctypes.string_at(0)


def take_memory() -> None:
    bytearray(4 * 1024**3)


def run_for_ever() -> None:
    while True:
        pass


def raise_error() -> None:
    raise KeyError("entity_id")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (kill_oneself, "killed by SIGKILL"),
        (read_nowhere, "killed by SIGSEGV"),
        (take_memory, "MemoryError"),
        (run_for_ever, "takes for ever"),
        (raise_error, "KeyError: 'entity_id'"),
    ],
)
def test_whatever_a_piece_does_is_told_and_only_its_own_process_suffers(harm: Callable[[], Any], told: str) -> None:
    assert told in str(attempt(harm, cpu_s=1))


@pytest.mark.parametrize("answer", [errors.StoreUnavailable(), errors.UnreadableMessage("damaged_message")])
def test_an_error_that_workers_know_what_to_do_with_is_no_harm(answer: Exception) -> None:
    def work() -> None:
        raise answer

    assert attempt(work, cpu_s=1) is None


def test_the_harmful_pieces_are_found_among_many_in_few_tries() -> None:
    tries = 0

    def work(part: Sequence[int]) -> None:
        if {17, 311} & set(part):
            kill_oneself()

    def counted(part: Sequence[int]) -> None:
        work(part)

    def clock() -> float:
        nonlocal tries
        tries += 1
        return 0.0

    assert find_harmful(500, counted, clock=clock) == {17: "killed by SIGKILL", 311: "killed by SIGKILL"}
    assert tries < 40


def test_a_batch_that_does_no_harm_costs_one_try() -> None:
    assert find_harmful(500, lambda _part: None) == {}


def test_pieces_that_do_harm_only_together_are_blamed_together() -> None:
    def work(part: Sequence[int]) -> None:
        if {3, 4} <= set(part):
            raise_error()

    # 3 and 4 stand in the same half until they alone are left
    assert find_harmful(6, work).keys() == {3, 4, 5}


def test_what_the_time_is_too_short_for_is_blamed_as_a_whole() -> None:
    times = iter([0.0, *([100.0] * 10)])

    def work(_part: Sequence[int]) -> None:
        raise_error()

    assert find_harmful(8, work, clock=lambda: next(times)).keys() == set(range(8))


def test_a_rehearsal_of_common_frames_takes_no_time_and_does_no_harm(tmp_path: Any) -> None:
    frames = [
        Frame("topic", time.time_ns(), b'{"entity_id": "sensor.x", "text": "%d"}' % number, "a/b")
        for number in range(500)
    ]
    raw = RawBatch(new_batch_id(), "home", "mqtt", "home-mqtt", time.time_ns(), frames)

    assert attempt(lambda: rehearse(raw, frames, Settings(data_dir=tmp_path)), cpu_s=1) is None
