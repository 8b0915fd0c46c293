"""The contract of kept runs of automations and scripts, in SQLite and in PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ingestor import errors
from ingestor.home.traces.model import Run, Step, Trace
from ingestor.home.traces.store import RoutineTraces
from ingestor.storage.database import open_database
from tests.servers_stores import PostgreSQL

S = 1_000_000
DAY = 86_400 * S
MARCH = 1_773_000_000 * S


@dataclass
class Bench:
    """The runs of one home, on a clock of the test."""

    engine: sa.Engine
    home: str = field(default_factory=lambda: f"home-{uuid.uuid4().hex[:12]}")
    now_us: int = MARCH

    @property
    def traces(self) -> RoutineTraces:
        return RoutineTraces(self.engine, keep_days=30, keep_runs=6, clock=lambda: self.now_us)

    def add(self, *traces: Trace) -> int:
        return self.traces.add(self.home, traces)

    def ids(self, **asked: Any) -> list[str]:
        return [run.run_id for run in self.traces.runs(self.home, **asked)]


def ran(run_id: str, item_id: str = "one", *, at_s: int = 0, result: str = "finished", **more: Any) -> Trace:
    steps, resolved = more.pop("steps", []), more.pop("resolved", None)
    told = {"error": "", "trigger": "", "last_step": "action/0", "context_id": "", "parent_id": "", "user_id": ""}
    at_us = MARCH + at_s * S
    run = Run("automation", item_id, run_id, at_us, at_us + S, result, **{**told, **more})
    return Trace(run, steps, resolved)


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'metadata.sqlite'}"
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.create_database(f"traces_{uuid.uuid4().hex[:8]}")
    engine = open_database(url)
    yield Bench(engine)
    engine.dispose()


def test_a_run_is_kept_once_with_all_its_steps(bench: Bench) -> None:
    step = Step("action/0", MARCH, "light.turn_on", {"entity_id": ["light.a"]}, answer={"n": 1}, error="é☃")
    trace = ran("abcdef", steps=[step], resolved={"triggers": []})

    assert (bench.add(trace), bench.add(trace, trace)) == (1, 0)

    assert bench.traces.trace(bench.home, "abc") == trace
    assert bench.traces.runs(bench.home) == [trace.run]
    assert bench.traces.known(bench.home, ["abcdef", "other"]) == {"abcdef"}
    assert bench.traces.resolved(bench.home) == {("automation", "one"): {"triggers": []}}
    assert bench.traces.items(bench.home) == {("automation", "one"): 1}


def test_a_run_that_is_not_there_or_not_the_only_one_is_said(bench: Bench) -> None:
    bench.add(ran("ab1"), ran("ab2"))

    with pytest.raises(errors.NotFound, match="several runs"):
        bench.traces.trace(bench.home, "ab")
    with pytest.raises(errors.NotFound, match="no run"):
        bench.traces.trace(bench.home, "a%")


def test_runs_are_listed_newest_first_by_what_ran_and_by_how_it_ended(bench: Bench) -> None:
    bench.add(ran("r1"), ran("r3", at_s=3, result="error"), ran("r2", at_s=2), ran("o", "other", at_s=9))

    assert bench.ids() == ["o", "r3", "r2", "r1"]
    assert bench.ids(item=("automation", "one"), limit=2) == ["r3", "r2"]
    assert bench.ids(result="error") == ["r3"]


def test_the_oldest_runs_of_each_and_those_that_are_too_old_are_forgotten(bench: Bench) -> None:
    bench.add(*(ran(f"r{number}", at_s=number) for number in range(9)), ran("other", "other"))
    kept = bench.ids()

    bench.now_us = MARCH + 31 * DAY
    bench.add(ran("new", at_s=31 * 86_400))

    assert kept == ["r8", "r7", "r6", "r5", "r4", "r3", "other"]
    assert bench.ids() == ["new"]


def test_what_came_before_a_run_and_after_it_is_found_by_contexts(bench: Bench) -> None:
    bench.add(
        ran("first", "a", at_s=0, context_id="c1"),
        ran("middle", "b", at_s=1, context_id="c2", parent_id="c1"),
        ran("called", "s", at_s=2, context_id="c2", parent_id="c1"),
        ran("last", "c", at_s=3, context_id="c3", parent_id="c2"),
        ran("alone", "d", at_s=4),
    )

    around = {
        name: tuple([run.run_id for run in runs] for runs in bench.traces.around(bench.home, trace.run))
        for name in ("first", "middle", "called", "alone")
        for trace in [bench.traces.trace(bench.home, name)]
    }

    assert around == {
        "first": ([], ["middle"]),
        "middle": (["first"], ["called", "last"]),
        "called": (["middle"], ["last"]),
        "alone": ([], []),
    }


def test_what_failed_in_each_of_its_newest_runs_fails_always(bench: Bench) -> None:
    def runs(item_id: str, *results: str) -> list[Trace]:
        return [ran(f"{item_id}{at}", item_id, at_s=at, result=one, error=f"no {at}") for at, one in enumerate(results)]

    bench.add(*runs("always", "finished", *("error",) * 5), *runs("mended", "error", "error", "finished"))
    bench.add(*runs("once", "error"), *runs("held", "error", "failed_conditions", "error", "failed_single"))

    found = {one.item_id: (one.runs, one.error, one.last_us) for one in bench.traces.failing(bench.home)}

    assert found == {"always": (5, "no 5", MARCH + 5 * S), "held": (2, "no 2", MARCH + 2 * S)}
    assert bench.traces.failing("another home") == []


def test_the_newest_runs_of_each_are_found_by_one_question(bench: Bench) -> None:
    bench.add(*[ran(f"a{turn}", "one", at_s=turn) for turn in range(4)], ran("b", "two", at_s=1, result="error"))
    bench.add(ran("c", "three"))
    items = [("automation", "one"), ("automation", "two"), ("script", "one")]

    newest = bench.traces.newest_of_each(bench.home, items, 2)
    failed = bench.traces.newest_of_each(bench.home, items, 2, "error")

    assert [run.run_id for run in newest] == ["a3", "a2", "b"]
    assert [run.run_id for run in failed] == ["b"]
    assert bench.traces.newest_of_each(bench.home, [], 2) == []
