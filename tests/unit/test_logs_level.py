"""The level of a running process's log can be changed for a while, also of the children that it has forked."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator

import pytest
import structlog

from ingestor import logs, logs_level
from ingestor.settings import LogSettings

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    logs_level.level.cache_clear()
    stream = io.StringIO()
    logs.set_up(LogSettings(format="json", level="info"), stream=stream)
    yield stream
    logs_level.level.cache_clear()


def said(stream: io.StringIO) -> list[str]:
    log = structlog.get_logger("x")
    log.debug("fine")
    logging.getLogger("y").info("usual")
    log.warning("odd")
    found = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    stream.seek(0)
    stream.truncate()
    return found


def test_another_level_holds_until_nobody_wants_it_any_more(stream: io.StringIO) -> None:
    assert said(stream) == ["usual", "odd"]

    logs_level.level().want("debug")
    assert said(stream) == ["fine", "usual", "odd"]
    logs_level.level().want("warning")
    assert said(stream) == ["odd"]
    logs_level.level().want(None)
    assert said(stream) == ["usual", "odd"]


def test_what_is_no_level_changes_nothing(stream: io.StringIO) -> None:
    logs_level.level().want("loud")

    assert said(stream) == ["usual", "odd"]


def test_a_child_takes_the_level_that_its_parent_hears_of_later(stream: io.StringIO) -> None:
    logs_level.level()
    to_child, from_parent = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.read(to_child[0], 1)
        logs_level.level().heed()
        os.write(from_parent[1], json.dumps(said(stream)).encode())
        os._exit(0)

    logs_level.level().want("debug")
    os.write(to_child[1], b"x")
    heard = json.loads(os.read(from_parent[0], 1000))
    os.waitpid(child, 0)

    assert heard == ["fine", "usual", "odd"]


def test_a_process_is_meant_by_all_its_kind_its_name_and_its_name_without_the_host() -> None:
    assert list(logs_level.names_of("worker", "enrich@pi")) == ["all", "worker", "enrich@pi", "enrich"]
    assert list(logs_level.names_of("listener", "home:websocket")) == ["all", "listener", "home:websocket"]
