"""What a process's log lines look like."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
import structlog

from ingestor import logs
from ingestor.logs_sparing import MOST, WITHIN_S, Sparing
from ingestor.settings import LogSettings

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")


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


def test_a_flood_of_one_warning_is_a_few_lines_and_a_count_and_hides_no_other() -> None:
    stream = io.StringIO()
    logs.set_up(LogSettings(), stream=stream)
    now_s = [100.0]
    (handler,) = logging.getLogger().handlers
    sparing = next(one for one in handler.filters if isinstance(one, Sparing))
    sparing._clock = lambda: now_s[0]

    def flood() -> None:
        for number in range(1_000):
            structlog.get_logger("x").warning("mark_unreadable", number=number)
            logging.getLogger("y").error("about %s", number)
        structlog.get_logger("x").warning("gap")

    flood()
    now_s[0] += WITHIN_S
    flood()

    told = lines(stream)
    ours = [line for line in told if line["event"] == "mark_unreadable"]
    others = [line["event"] for line in told if line["logger"] == "y"]
    assert (len(ours), len(others)) == (2 * MOST, 2 * MOST)
    assert [line.get("left_out") for line in (ours[0], ours[MOST], ours[MOST + 1])] == [None, 1_000 - MOST, None]
    assert others[MOST] == f"about 0 ({1_000 - MOST} more of these were left out)"
    assert len([line for line in told if line["event"] == "gap"]) == 2


def test_what_is_said_in_the_course_of_work_is_never_left_out() -> None:
    stream = io.StringIO()
    logs.set_up(LogSettings(), stream=stream)

    for _ in range(100):
        structlog.get_logger("x").info("batch_written")

    assert len(lines(stream)) == 100


def test_names_without_end_do_not_fill_the_memory() -> None:
    sparing = Sparing()

    for number in range(5_000):
        record = logging.LogRecord("z", logging.WARNING, "", 0, f"text {number}", (), None)
        assert sparing.filter(record)

    assert len(sparing._seen) <= 1_000


def test_what_celery_says_of_every_task_for_later_is_left_out() -> None:
    out = io.StringIO()
    logs.set_up(LogSettings(format="json"), stream=out)

    logging.getLogger("celery.app.base").warning("Direct exchanges are not supported with native delayed delivery.")
    logging.getLogger("celery.app.base").warning("something else")

    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["something else"]
