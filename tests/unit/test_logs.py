"""What a process's log lines look like."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from ingestor import logs
from ingestor.settings import LogSettings


@pytest.fixture(autouse=True)
def logging_stays_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    yield
    structlog.reset_defaults()
    root.setLevel(before[0])
    root.handlers[:] = before[1]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_off_a_terminal_each_line_is_json_with_time_level_name_and_fields() -> None:
    stream = io.StringIO()
    logs.set_up(LogSettings(), stream=stream)

    structlog.get_logger("a.b").info("batch_written", events=7, raw=b"x")
    logging.getLogger("other").warning("about %s", "this")

    ours, other = lines(stream)
    assert (ours["event"], ours["events"], ours["level"], ours["logger"]) == ("batch_written", 7, "info", "a.b")
    assert ours["time"].endswith("Z")
    assert (other["event"], other["level"], other["logger"]) == ("about this", "warning", "other")


def test_an_exception_is_in_its_line() -> None:
    stream = io.StringIO()
    logs.set_up(LogSettings(), stream=stream)

    try:
        raise ValueError("reason")  # noqa: TRY301 -- an exception to log
    except ValueError:
        structlog.get_logger("x").exception("step_failed")

    (line,) = lines(stream)
    assert "ValueError: reason" in line["exception"]


def test_on_a_terminal_lines_are_for_people() -> None:
    stream = Terminal()
    logs.set_up(LogSettings(), stream=stream)

    structlog.get_logger("x").info("batch_written", events=7)

    assert "batch_written" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_the_format_may_be_chosen_and_the_level_holds_for_all() -> None:
    stream = Terminal()
    logs.set_up(LogSettings(format="json", level="warning"), stream=stream)

    structlog.get_logger("x").info("not_shown")
    logging.getLogger("y").info("not shown")
    structlog.get_logger("x").warning("shown")

    assert [line["event"] for line in lines(stream)] == ["shown"]


def test_a_command_that_prints_data_keeps_quiet_unless_a_level_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for settings in (LogSettings(), LogSettings(level="debug")):
        logs.set_up_quietly(settings)
        structlog.get_logger("x").info(f"said_at_{settings.level}")

    printed = capsys.readouterr()
    assert printed.out == ""
    assert "said_at_debug" in printed.err
    assert "said_at_info" not in printed.err
