"""The contract of what workers tell each other of contexts, on memory, Valkey and Redis."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import redis

from ingestor import errors
from ingestor.enrichment import cause_shared
from ingestor.enrichment.cause import CauseStep
from ingestor.enrichment.cause_late import CauseSeeker
from ingestor.enrichment.cause_shared import Exchange, MemoryContexts, RedisContexts, SharedContexts
from ingestor.enrichment.contexts import AUTOMATION_TRIGGERED, Run
from ingestor.events.late import LateCause
from ingestor.queue.state import connect_state
from tests.servers import free_port
from tests.unit.cause_stage import batches_of, causes_told, enriched, events_of, frames_of, home_map, truths

#: Of the same second; the last characters are chance.
DAWN = "01M7Y04H8P" + "A" * 16
NOON = "01M7Y04H8P" + "B" * 16
LATE = "01M7Z04H8P" + "A" * 16


@dataclass
class Bench:
    """A home of the test's own, and how another of its workers comes to be."""

    home: str
    worker: Callable[[], SharedContexts]


@pytest.fixture(params=["memory", "valkey_server", "redis_server"])
def bench(request: pytest.FixtureRequest) -> Bench:
    home = f"home-{uuid.uuid4().hex[:12]}"
    if request.param == "memory":
        return Bench(home, MemoryContexts().beside)
    state = connect_state(request.getfixturevalue(request.param).url)
    return Bench(home, lambda: RedisContexts(state))


def run(context_id: str, entity_id: str = "automation.a") -> Run:
    return Run(context_id, AUTOMATION_TRIGGERED, entity_id, parent_id=NOON, trigger_kind="device", trigger_id="a.b")


def test_a_run_that_one_worker_tells_is_heard_by_the_others_once(bench: Bench) -> None:
    teller, hearer = bench.worker(), bench.worker()
    teller.exchange(Exchange(bench.home, runs=[run(DAWN), run(LATE, "automation.ü")], about={DAWN, LATE}))
    first, second, again = (Exchange(bench.home, about={DAWN, LATE}) for _ in range(3))

    hearer.exchange(first)
    hearer.exchange(second)
    hearer.forget(bench.home)
    hearer.exchange(again)

    heard = [sorted(one.context_id for one in some.heard) for some in (first, second, again)]
    assert heard == [[DAWN, LATE], [], [DAWN, LATE]]
    assert {one.actor for one in first.heard if one == run(one.context_id, one.actor)} == {
        "automation.a",
        "automation.ü",
    }


def test_nobody_hears_what_he_told_himself(bench: Bench) -> None:
    worker, told = bench.worker(), Exchange(bench.home, runs=[run(DAWN)], about={DAWN})

    worker.exchange(told)
    worker.exchange(more := Exchange(bench.home, about={DAWN}))

    assert told.heard == more.heard == []


def test_of_two_that_tell_at_once_the_second_hears_the_first_and_nothing_of_its_own(bench: Bench) -> None:
    first, second = bench.worker(), bench.worker()
    first.exchange(Exchange(bench.home, runs=[run(LATE)], about={LATE}))
    second.exchange(Exchange(bench.home, plain=[DAWN], about={DAWN}))

    first.exchange(story := Exchange(bench.home, runs=[run(DAWN)], about={DAWN}, parents=[DAWN]))
    second.exchange(other := Exchange(bench.home, runs=[run(NOON)], about={NOON}))
    first.exchange(more := Exchange(bench.home, about={DAWN}))

    assert (story.heard, first.has_plain(bench.home, DAWN)) == ([], True)
    assert run(DAWN) in other.heard
    assert run(NOON) not in other.heard
    assert more.heard == [run(NOON)]


def test_a_plain_context_is_found_by_who_looks_for_it_and_no_other_is(bench: Bench) -> None:
    teller, looker = bench.worker(), bench.worker()
    teller.exchange(Exchange(bench.home, plain=[DAWN, LATE]))
    # Two ids side by side in the log hold this one's end across their border.
    across = NOON[:10] + "A" * 8 + "B" * 8
    teller.exchange(Exchange(bench.home, plain=[NOON[:10] + "B" * 8 + "A" * 8, NOON]))

    looker.exchange(Exchange(bench.home, parents=[DAWN, NOON, LATE, across]))

    found = [looker.has_plain(bench.home, one) for one in (DAWN, NOON, LATE, across, "none")]
    assert found == [True, True, True, False, False]
    assert not looker.has_plain(f"{bench.home}-other", DAWN)


def test_other_homes_hear_nothing(bench: Bench) -> None:
    teller, hearer = bench.worker(), bench.worker()
    teller.exchange(Exchange(bench.home, runs=[run(DAWN)], about={DAWN}))

    hearer.exchange(other := Exchange(f"{bench.home}-other", about={DAWN}))

    assert other.heard == []


@pytest.mark.parametrize("year", ["2024", "2026"])
@pytest.mark.parametrize("seed", [1, 2])
def test_four_workers_with_one_redis_find_each_recorded_cause_in_shuffled_batches(
    valkey_server: object, year: str, seed: int
) -> None:
    state: redis.Redis[bytes] = connect_state(valkey_server.url)  # type: ignore[attr-defined]  # a server's fixture
    frames = frames_of(year)
    events = events_of(frames)
    batches = batches_of(events, 50, home=f"home-{uuid.uuid4().hex[:12]}")
    # Each as in a process of its own: with a connection of its own.
    workers = [CauseStep(RedisContexts(connect_state(valkey_server.url))) for _ in range(4)]  # type: ignore[attr-defined]  # see above

    found = enriched(batches, workers, home_map(events, batches[0].home), seed)

    assert causes_told(found) == truths(frames)
    assert 0 < len(list(state.scan_iter(f"ha_ingestor:contexts:{batches[0].home}:*"))) < len(events) / 5


@pytest.fixture
def redis_contexts(valkey_server: object) -> tuple[redis.Redis[bytes], RedisContexts, str]:
    state = connect_state(valkey_server.url)  # type: ignore[attr-defined]  # a server's fixture
    return state, RedisContexts(state), f"home-{uuid.uuid4().hex[:12]}"


def test_every_log_ends_by_itself_a_busy_one_sooner(
    redis_contexts: tuple[redis.Redis[bytes], RedisContexts, str],
) -> None:
    state, contexts, home = redis_contexts

    contexts.exchange(Exchange(home, runs=[run(DAWN)], plain=[DAWN]))
    contexts.exchange(Exchange(home, plain=[NOON[:10] + f"{number:016}" for number in range(500)]))

    lives = {key.decode().split(":")[3]: state.ttl(key) for key in state.scan_iter(f"ha_ingestor:contexts:{home}:*")}
    assert 3500 < lives["runs"] <= cause_shared.RUNS_LIFE_S
    assert 0 < lives["plain"] <= cause_shared.BUSY_LIFE_S


def test_no_log_grows_without_end(
    redis_contexts: tuple[redis.Redis[bytes], RedisContexts, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, contexts, home = redis_contexts
    monkeypatch.setattr(cause_shared, "MAX_LOG_BYTES", 1000)

    for _ in range(100):
        contexts.exchange(Exchange(home, runs=[run(DAWN)] * 5, plain=[DAWN] * 50))

    sizes = [len(state.get(key) or b"") for key in state.scan_iter(f"ha_ingestor:contexts:{home}:*")]
    assert len(sizes) == 2
    assert 1000 <= min(sizes) <= max(sizes) < 3000


def test_garbage_in_a_log_costs_itself(redis_contexts: tuple[redis.Redis[bytes], RedisContexts, str]) -> None:
    state, contexts, home = redis_contexts
    contexts.exchange(Exchange(home, runs=[run(DAWN)]))
    key = next(iter(state.scan_iter(f"ha_ingestor:contexts:{home}:runs:*")))
    state.set(key, (state.get(key) or b"") + b'nothing\n["a",{}]\n\xff\n')
    contexts.exchange(Exchange(home, runs=[run(NOON)]))

    RedisContexts(state).exchange(heard := Exchange(home, about={DAWN}))

    assert heard.heard == [run(DAWN), run(NOON)]


def test_what_the_state_server_lost_is_read_from_the_start(
    redis_contexts: tuple[redis.Redis[bytes], RedisContexts, str],
) -> None:
    state, contexts, home = redis_contexts
    contexts.exchange(Exchange(home, runs=[run(DAWN)] * 5, about={DAWN}))
    state.delete(*state.scan_iter(f"ha_ingestor:contexts:{home}:*"))
    other = RedisContexts(state)
    other.exchange(Exchange(home, runs=[run(NOON)]))

    contexts.exchange(Exchange(home, runs=[run(DAWN)], about={DAWN}))
    contexts.exchange(heard := Exchange(home, about={DAWN}))

    assert run(NOON) in heard.heard


def test_an_unreachable_state_server_is_said_so() -> None:
    contexts = RedisContexts(connect_state(f"redis://127.0.0.1:{free_port()}/0"))

    with pytest.raises(errors.StateUnavailable):
        contexts.exchange(Exchange("home", runs=[run(DAWN)]))


def test_one_look_finds_a_late_cause_whose_chain_began_long_before(bench: Bench) -> None:
    teller, hearer = bench.worker(), bench.worker()
    began = Run(DAWN, AUTOMATION_TRIGGERED, "automation.dawn", user_id="anna")
    teller.exchange(Exchange(bench.home, runs=[began], about={DAWN}))
    teller.exchange(Exchange(bench.home, runs=[Run(LATE, AUTOMATION_TRIGGERED, "automation.late", parent_id=DAWN)]))

    (found,) = CauseSeeker(hearer).seek(bench.home, [LateCause("m", (), 1, LATE)])

    assert found is not None
    assert (found["cause_id"], found["root_cause_id"], found["cause_depth"]) == ("automation.late", "anna", 3)
