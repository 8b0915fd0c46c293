"""The watch for wanted registry syncs: asks for what is due, and outlives a broker and a state server that are away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kombu.exceptions import OperationalError

from ingestor import errors
from ingestor.queue import names
from ingestor.queue.asking import ask_for
from workers.registry_watch import RegistryWatch


class Stage:
    """What the watch asks for; the next calls may fail."""

    def __init__(self) -> None:
        self.due: set[str] = set()
        self.asked: list[str] = []
        self.failures: list[Exception] = []
        self.watch = RegistryWatch(
            ["home", "cabin"],
            is_due=lambda home: home in self.due,
            ask=self._guarded(self.asked.append),
            ask_all=lambda: self._guarded(self.asked.append)("all"),
        )

    def _guarded(self, call: Callable[[str], None]) -> Callable[[str], None]:
        def guarded(home: str) -> None:
            if self.failures:
                raise self.failures.pop()
            call(home)

        return guarded


def test_all_homes_are_read_at_the_start_and_then_those_that_are_due() -> None:
    stage = Stage()

    pauses = [stage.watch.step()]
    stage.due = {"cabin"}
    pauses.append(stage.watch.step())

    assert stage.asked == ["all", "cabin"]
    assert pauses == [0.25, 1.0]


@pytest.mark.parametrize("error", [errors.BrokerUnavailable("away"), errors.StateUnavailable("away")])
def test_what_could_not_be_asked_for_is_asked_for_again(error: Exception) -> None:
    stage = Stage()
    stage.failures = [error]
    stage.due = {"home"}

    for _ in range(2):
        stage.watch.step()
    stage.failures = [error]
    for _ in range(2):
        stage.watch.step()

    assert stage.asked == ["all", "home", "home"]


def test_whatever_a_broker_that_is_away_raises_is_one_kind_of_error() -> None:
    class Away:
        def send_task(self, *_arguments: object, **_options: object) -> None:
            raise OperationalError("[Errno 104] Connection reset by peer")

    with pytest.raises(errors.BrokerUnavailable, match="Connection reset"):
        ask_for(Away(), names.SYNC_ALL, names.TaskType.REGISTRY)  # type: ignore[arg-type]  # a Celery whose broker is away
