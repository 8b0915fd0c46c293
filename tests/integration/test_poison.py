"""A batch that kills its worker: the frame to blame goes to quarantine, its neighbours are stored, and it ends."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from ingestor.events.frame import Frame, RawBatch, new_batch_id
from ingestor.queue.message import encode_raw
from ingestor.queue.state import connect_state
from tasks.poison import FROM_ATTEMPT, Found, Trials, goes_round
from tests.integration.real_workers import Road
from tests.servers_brokers import RedisServer


@pytest.fixture
def road_on(tmp_path: Path) -> Iterator[Callable[..., Road]]:
    with ExitStack() as stack:
        yield lambda broker, state, **journal: Road(stack, tmp_path / "data", broker.url, state.url, **journal)


@pytest.mark.parametrize("harm", ["poison/kills", "poison/exits"])
def test_a_frame_that_kills_its_worker_is_quarantined_and_its_neighbours_are_stored(
    road_on: Callable[..., Road], start_server: Callable[..., RedisServer], harm: str
) -> None:
    broker = start_server(RedisServer)
    road = road_on(broker, broker)
    road.start_workers(poisoned=True)

    road.add(*(f"before-{number:02d}" for number in range(9)))
    road.add("the-poison", topic=harm)
    road.add(*(f"behind-{number:02d}" for number in range(50)))
    road.settle(60)

    assert road.stored() == sorted(set(road.sent) - {"the-poison"})
    (piece,) = road.quarantined()
    assert piece.reason == "harms_its_worker"
    assert b"the-poison" in piece.raw
    assert road.intake.status()["done"] == {"written": 59, "duplicate": 0, "rejected": 1, "filtered": 0}


def test_a_first_and_a_second_try_cost_no_trial_and_later_ones_are_rationed() -> None:
    trials = Trials()
    frame = Frame("topic", time.time_ns(), b"{}", "a/b")
    body = encode_raw(RawBatch(new_batch_id(), "home", "mqtt", "home-mqtt", time.time_ns(), [frame]))

    assert trials.judge(body, FROM_ATTEMPT - 1) is None
    first = trials.judge(body, FROM_ATTEMPT)
    assert first is not None
    assert first.frames == {}
    assert trials.judge(body, FROM_ATTEMPT) is None
    assert trials.judge(body, FROM_ATTEMPT + 3) is not None


def test_what_is_logged_during_a_trial_does_not_spoil_its_answer() -> None:
    noisy = (
        "from tasks import trial; trial.try_out = lambda body: print('a line') or trial.Found({1: 'x'}); trial.main()"
    )

    done = subprocess.run([sys.executable, "-c", noisy], input=b"", capture_output=True, check=True)

    assert msgspec.json.decode(done.stdout, type=Found) == Found({1: "x"})
    assert b"a line" in done.stderr


def test_trials_take_a_small_part_of_a_workers_time_however_long_each_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    trials, now_s = Trials(), 1000.0
    monkeypatch.setattr("tasks.poison.time.monotonic", lambda: now_s)

    def run_for_nine_seconds(*_: Any, **__: Any) -> SimpleNamespace:
        nonlocal now_s
        now_s += 9
        return SimpleNamespace(stdout=b"{}")

    monkeypatch.setattr("tasks.poison.subprocess.run", run_for_nine_seconds)
    tried = 0
    for _ in range(600):
        tried += trials.judge(b"batch", FROM_ATTEMPT) is not None
        now_s += 1

    assert 5 <= tried <= 8


def test_a_trial_of_a_message_that_nobody_can_read_blames_no_frame() -> None:
    assert Trials().harmful_frames(b"rubbish", FROM_ATTEMPT) == {}


def test_a_message_that_the_broker_gives_again_and_again_is_let_go(redis_server: RedisServer) -> None:
    state: Any = connect_state(redis_server.url)
    again = SimpleNamespace(id=f"task-{threading.get_ident()}", delivery_info={"redelivered": True})
    fresh = SimpleNamespace(id=again.id, delivery_info={"redelivered": False})

    answers = [goes_round(again, state) for _ in range(5)]

    assert answers == [False, False, False, True, True]
    assert not goes_round(fresh, state)
