"""A batch taken through its steps in one process: order, what a failing step costs, who owns the time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery

from ingestor import errors
from ingestor.events.event import EventBatch
from ingestor.queue import names
from tasks import envelope as enveloping
from tasks.envelope import PATIENCE_S, envelope, hand_on

BATCH = EventBatch("0" * 26, "home", "websocket", "journal", 0, 0, [])


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    application = Celery("together", broker="memory://", set_as_current=False)
    settings = SimpleNamespace(workers=SimpleNamespace(together=1))
    together = SimpleNamespace(settings=settings, spans=None, pauses=SimpleNamespace(has=lambda _: False))
    monkeypatch.setattr(enveloping, "resources", lambda: together)
    monkeypatch.setattr(enveloping, "current_app", application)
    yield application
    application.close()


def first_step(app: Celery, told: list[str], *, fails: Exception | None = None) -> Any:
    @app.task(name="first", bind=True, shared=False)
    def first(self: Any, body: bytes) -> None:
        with envelope(self, names.TaskType.VALIDATE, body):
            hand_on(names.TaskType.ENRICH, "second", BATCH)
            told.append("first")
            if fails is not None:
                raise fails

    return first


def second_step(app: Celery, told: list[str], *, fails: Exception | None = None) -> None:
    @app.task(name="second", bind=True, shared=False)
    def second(self: Any, body: bytes) -> None:
        with envelope(self, names.TaskType.ENRICH, body):
            told.append("second")
            if fails is not None:
                raise fails


def test_the_next_step_begins_when_the_one_before_has_ended(app: Celery, told: list[str]) -> None:
    second_step(app, told)

    first_step(app, told)(b"batch")

    assert told == ["first", "second"]


def test_a_next_step_that_is_paused_goes_to_its_queue(
    app: Celery, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    second_step(app, told)
    held = vars(enveloping)["resources"]()
    monkeypatch.setattr(held, "pauses", SimpleNamespace(has=lambda kind: kind is names.TaskType.ENRICH))
    sender = SimpleNamespace(send=lambda task, queue, *_, **__: told.append(f"{task} to {queue}"))
    monkeypatch.setattr(held, "producer", sender, raising=False)

    first_step(app, told)(b"batch")

    assert told == ["second to enrich", "first"]


def test_a_step_that_fails_does_not_fail_the_one_before_it(app: Celery, told: list[str]) -> None:
    second_step(app, told, fails=ValueError("broken"))

    first_step(app, told)(b"batch")

    assert told == ["first", "second"]


def test_a_batch_that_is_put_back_is_not_taken_on_as_well(
    app: Celery, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    back: list[str] = []
    monkeypatch.setattr(enveloping, "put_back", lambda task, _step, _body: back.append(task.name))
    second_step(app, told)

    first_step(app, told, fails=errors.StoreUnavailable("away"))(b"batch")

    assert told == ["first"]
    assert back == ["first"]


def test_a_next_step_whose_store_is_away_puts_back_its_own_message(
    app: Celery, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    back: list[str] = []
    monkeypatch.setattr(enveloping, "put_back", lambda task, _step, _body: back.append(task.name))
    second_step(app, told, fails=errors.StoreUnavailable("away"))

    first_step(app, told)(b"batch")

    assert back == ["second"]


def test_all_steps_of_a_task_share_the_patience_of_one(app: Celery) -> None:
    until: list[float] = []

    @app.task(name="second", bind=True, shared=False)
    def second(self: Any, body: bytes) -> None:
        with envelope(self, names.TaskType.ENRICH, body):
            until.append(enveloping._until_s.get())

    @app.task(name="first", bind=True, shared=False)
    def first(self: Any, body: bytes) -> None:
        with envelope(self, names.TaskType.VALIDATE, body):
            until.append(enveloping._until_s.get())
            hand_on(names.TaskType.ENRICH, "second", BATCH)

    first(b"batch")

    assert until[1] == until[0] <= time.monotonic() + PATIENCE_S
    assert enveloping._until_s.get() == float("inf")
