"""The names of worker nodes, their settings, and what `scale` refuses; and a crew of processes that are not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pydantic
import pytest

from ingestor import errors
from ingestor.cli.processes import WorkerType, worker_arguments
from ingestor.cli.workers import parse
from ingestor.queue.pools import POOLS, node_name, pool_of, queues_of
from ingestor.settings import Settings
from workers import plan
from workers.child import Child, Spec
from workers.crew import Crew
from workers.holding import Holding


def settings(**groups: Any) -> Settings:
    return Settings.model_validate({"data_dir": Path("/nowhere"), **groups})


@pytest.mark.parametrize(("number", "name"), [(1, "enrich@pi-2"), (2, "enrich-2@pi-2"), (12, "enrich-12@pi-2")])
def test_a_nodes_name_tells_its_pool(number: int, name: str) -> None:
    assert node_name("enrich", number, "pi-2") == name
    assert pool_of(name) == "enrich"


def test_each_queue_belongs_to_one_pool() -> None:
    queues = [queue for pool in POOLS for queue in queues_of(pool)]

    assert len(set(queues)) == len(queues) == 8


def test_a_second_node_has_a_name_of_its_own() -> None:
    words = worker_arguments(settings(workers={"host": "pi"}), WorkerType.ENRICH, 3, 2)

    assert words[words.index("-n") + 1] == "enrich-2@pi"
    assert words[words.index("-c") + 1] == "3"


def test_as_many_nodes_are_planned_as_are_wanted_and_sqlite_has_one_writer() -> None:
    made = plan.make(
        settings(broker={"url": "redis://localhost"}, demo={"enabled": False}),
        {"validate": 1, "enrich": 3, "write": 1, "rare": 1},
    )

    names = [spec.name for spec in made.others if spec.name.startswith("worker-")]
    assert names == [
        "worker-validate",
        "worker-enrich",
        "worker-enrich-2",
        "worker-enrich-3",
        "worker-write",
        "worker-rare",
    ]
    write = next(spec for spec in made.others if spec.name == "worker-write")
    assert write.argv[write.argv.index("-c") + 1] == "1"


def test_bounds_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(pydantic.ValidationError, match="nodes_max"):
        settings(workers={"pools": {"write": {"nodes": 3, "nodes_max": 2}}})


def test_scale_takes_numbers_and_the_word_default() -> None:
    assert parse(settings(), ["validate=2", "enrich=default"]) == {"validate": 2, "enrich": None}


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("validat=2", "validate, enrich, write, rare"),
        ("enrich", "TYPE=N"),
        ("enrich=0", "the least is 1"),
        ("enrich=-1", "not a number"),
        ("enrich=2.5", "not a number"),
        ("enrich=65", "the most is 64"),
        ("enrich=" + "9" * 5000, "not a number"),
        ("enrich=²", "not a number"),
        ("write=2", "SQLite"),
    ],
)
def test_scale_says_what_is_wrong_with_a_number(word: str, says: str) -> None:
    with pytest.raises(errors.InvalidSettings, match=says):
        parse(settings(), [word])


def test_scale_says_that_one_node_for_all_steps_is_not_scaled() -> None:
    with pytest.raises(errors.NobodyListens, match=r"workers\.together"):
        parse(settings(workers={"together": 2}), ["write=2"])


def test_scale_refuses_a_type_that_is_there_twice() -> None:
    with pytest.raises(errors.InvalidSettings, match="twice"):
        parse(settings(), ["enrich=2", "enrich=3"])


class Process:
    """Stands for a child that starts at once, and ends when it likes."""

    def __init__(self, spec: Spec, *, ready: bool = True) -> None:
        self.spec = spec
        self.pid: int | None = 1
        self.ready = ready
        self.asked = self.killed = False

    def ask_to_stop(self) -> None:
        self.asked = True

    def kill(self) -> None:
        self.killed, self.pid = True, None


@pytest.fixture
def crew_of() -> Callable[..., tuple[Crew, list[Process]]]:
    def make(
        *names: str, now_s: Callable[[], float] = lambda: 0.0, starts_ready: bool = True, at_once: int = 2
    ) -> tuple[Crew, list[Process]]:
        children = [Process(Spec(name, [])) for name in names]
        crew = Crew(
            cast("list[Child]", children),
            lambda pool, number: Spec(f"worker-{pool}" if number == 1 else f"worker-{pool}-{number}", []),
            lambda spec: cast("Child", Process(spec, ready=starts_ready)),
            now_s,
            at_once,
        )
        return crew, children

    return make


def test_missing_nodes_are_started_and_those_too_many_are_stopped_last_ones_first(
    crew_of: Callable[..., tuple[Crew, list[Process]]],
) -> None:
    crew, children = crew_of("beat", "worker-enrich", "worker-write", "worker-write-2", "worker-write-3")

    crew.step({"enrich": 3, "write": 1})

    assert [child.spec.name for child in children][-2:] == ["worker-enrich-2", "worker-enrich-3"]
    assert [child.spec.name for child in children if child.asked] == ["worker-write-2", "worker-write-3"]
    assert crew.running() == {"validate": 0, "enrich": 3, "write": 1, "rare": 0}


def test_no_more_start_at_once_than_there_are_processors_and_one_that_never_works_holds_up_nobody(
    crew_of: Callable[..., tuple[Crew, list[Process]]],
) -> None:
    now = [0.0]
    crew, children = crew_of("worker-write", now_s=lambda: now[0], starts_ready=False, at_once=2)

    crew.step({"write": 6})
    crew.step({"write": 6})
    assert [child.spec.name for child in children] == ["worker-write", "worker-write-2", "worker-write-3"]

    children[1].ready = True
    crew.step({"write": 6})
    assert children[-1].spec.name == "worker-write-4"

    children[2].pid = None  # it ended: its supervisor starts it again
    now[0] = 16.0
    crew.step({"write": 6})
    assert children[-1].spec.name == "worker-write-6"


def test_a_node_that_leaves_is_let_finish_and_one_that_does_not_end_is_killed(
    crew_of: Callable[..., tuple[Crew, list[Process]]],
) -> None:
    now = [0.0]
    crew, children = crew_of("worker-write", "worker-write-2", "worker-write-3", now_s=lambda: now[0])
    crew.step({"write": 1})
    two, three = children[1:]

    now[0], two.pid = 10.0, None
    assert "worker-write-2 stopped" in crew.step({"write": 1})
    assert not three.killed

    now[0] = 40.0
    assert any("killed" in sentence for sentence in crew.step({"write": 1}))
    assert three.killed
    assert [child.spec.name for child in children] == ["worker-write"]


def test_a_node_that_is_wanted_again_while_it_leaves_is_started_once_it_has_left(
    crew_of: Callable[..., tuple[Crew, list[Process]]],
) -> None:
    crew, children = crew_of("worker-write", "worker-write-2")
    crew.step({"write": 1})

    crew.step({"write": 2})
    assert len(children) == 2
    children[1].pid = None
    crew.step({"write": 2})

    assert [child.spec.name for child in children] == ["worker-write", "worker-write-2"]
    assert not children[1].asked


def test_what_a_node_holds_has_an_age_and_its_load_is_that_of_the_last_seconds() -> None:
    now = [0.0]
    holding = Holding(lambda: now[0])
    held = [("a", "tasks.write.write_batch", "batch 7 " + "x" * 500), ("b", "tasks.write.write_batch", "batch 8")]
    for now[0] in range(30):
        told = holding.look(held if now[0] > 10 else held[:1], active=1, processes=2)

    assert (told["holds"], told["oldest_s"]) == (2, 29.0)
    assert [(one["about"][:7], len(one["about"]), one["for_s"]) for one in told["in_hand"]] == [
        ("batch 7", 160, 29.0),
        ("batch 8", 7, 18.0),
    ]
    assert told["busy"] == pytest.approx(0.5, abs=0.05)
    assert holding.look([], 0, 2)["oldest_s"] == 0.0
