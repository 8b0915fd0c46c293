"""The contract of the facts of a home, on memory, Valkey and Redis."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ingestor import errors
from ingestor.home.facts import FactsSource, HomeFacts, MemoryFacts, PersonFacts
from ingestor.home.facts_redis import RedisFacts, facts_are_out, publish_facts
from ingestor.queue.state import connect_state
from tests.contract.stepped_clock import SteppedClock
from tests.servers import free_port

ANNA = PersonFacts("person.anna", "Anna", "u1")


@dataclass
class Bench:
    """Somewhere to publish, a reader of it, and the reader's clock; the home is the test's own."""

    home: str
    publish: Callable[[HomeFacts], Any]
    source: FactsSource
    clock: SteppedClock = field(default_factory=SteppedClock)


@pytest.fixture(params=["memory", "valkey_server", "redis_server"])
def bench(request: pytest.FixtureRequest) -> Bench:
    home = f"home-{uuid.uuid4().hex[:12]}"
    if request.param == "memory":
        memory = MemoryFacts()
        return Bench(home, memory.publish, memory)
    state = connect_state(request.getfixturevalue(request.param).url)
    clock = SteppedClock()
    source = RedisFacts(state, [home], clock=clock)
    return Bench(home, lambda facts: publish_facts(state, facts), source, clock)


def test_a_home_that_was_never_synced_has_empty_facts(bench: Bench) -> None:
    bench.source.refresh()

    assert bench.source.facts(bench.home) == HomeFacts(bench.home)
    assert bench.source.facts("a home of nobody") == HomeFacts("a home of nobody")


def test_what_is_published_is_seen_within_a_second(bench: Bench) -> None:
    bench.source.refresh()
    bench.publish(HomeFacts(bench.home, country="NL", persons=[ANNA]))
    bench.clock.pass_second()

    bench.source.refresh()

    found = bench.source.facts(bench.home)
    assert (found.country, found.persons) == ("NL", [ANNA])
    bench.publish(HomeFacts(bench.home, country="BE"))
    bench.clock.pass_second()
    bench.source.refresh()
    assert bench.source.facts(bench.home).country == "BE"


def test_looking_up_gives_one_object_until_there_is_something_new(bench: Bench) -> None:
    bench.publish(HomeFacts(bench.home, country="NL"))
    bench.source.refresh()
    first = bench.source.facts(bench.home)
    bench.clock.pass_second()

    bench.source.refresh()

    assert bench.source.facts(bench.home) is first


def test_the_same_facts_are_published_once_and_get_a_version(redis_server: Any) -> None:
    state, home = connect_state(redis_server.url), f"home-{uuid.uuid4().hex[:12]}"
    before = facts_are_out(state, home)

    told = [publish_facts(state, HomeFacts(home, country=country)) for country in ("NL", "NL", "BE", "NL")]

    source = RedisFacts(state, [home])
    source.refresh()
    assert (before, facts_are_out(state, home)) == (False, True)
    assert told == [True, False, True, True]
    assert source.facts(home).version > 0


def test_facts_that_redis_has_lost_are_still_held(redis_server: Any) -> None:
    state, home, clock = connect_state(redis_server.url), f"home-{uuid.uuid4().hex[:12]}", SteppedClock()
    publish_facts(state, HomeFacts(home, country="NL"))
    source = RedisFacts(state, [home], clock=clock)
    source.refresh()
    for key in state.scan_iter(f"ha_ingestor:facts:{home}*"):
        state.delete(key)
    clock.pass_second()

    source.refresh()

    assert source.facts(home).country == "NL"


def test_a_redis_that_is_away_is_said() -> None:
    source = RedisFacts(connect_state(f"redis://127.0.0.1:{free_port()}"), ["h"])

    with pytest.raises(errors.StateUnavailable):
        source.refresh()
