"""The line that keeps counting: what is in it while all is well, and what comes first when something is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workers.screen import Reading, counted_by, status_line, sum_up

WELL = Reading(
    written=1_234_567,
    rejected=12,
    rate=12_345.6,
    pending=3,
    connected=2,
    listeners=2,
    lag_ms=83.0,
    oldest_s=0.2,
    error="",
)
TOLD = {"counts": {"written": 3}, "written_per_s": 1.5, "pending_batches": 1, "oldest_pending_s": 20.5}


def listener(**entry: Any) -> dict[str, Any]:
    return {"connected": True, "last_error": "", **entry}


def test_the_line_fits_a_narrow_terminal_while_all_is_well() -> None:
    line = status_line(WELL)

    assert line == "1,234,567 stored · 12,345.6/s · lag 83 ms · 3 in journal · 12 rejected · 2 connected"
    assert len(f"10:00:00  {line}") <= 100


def test_a_listener_that_is_not_connected_comes_first_and_its_reason_last() -> None:
    line = status_line(replace(WELL, connected=1, error="the token is refused"))

    assert line.startswith("NOT CONNECTED (1 of 2) · ")
    assert line.endswith(" · the token is refused")


def test_batches_that_wait_too_long_are_pointed_out() -> None:
    assert "batches wait for 2 min: see `ha-ingestor doctor`" in status_line(replace(WELL, oldest_s=130.0))
    assert "wait" not in status_line(replace(WELL, oldest_s=14.0))


def test_what_the_listeners_tell_is_summed_up() -> None:
    board = {
        "listener:a": listener(intake=TOLD),
        "listener:b": listener(connected=False, gave_up=True, last_error="refused"),
        "worker:x": {},
    }

    reading = sum_up(board, counted_by(board))

    assert (reading.written, reading.rate, reading.pending, reading.oldest_s) == (3, 1.5, 1, 20.5)
    assert (reading.connected, reading.listeners, reading.error) == (1, 2, "refused")


def test_what_a_listener_has_counted_stays_in_the_sum_while_it_is_away() -> None:
    board = {"listener:a": listener(intake=TOLD), "listener:b": listener(intake=TOLD)}
    counted = counted_by(board)

    del board["listener:a"]
    board["listener:b"] = listener(intake={**TOLD, "counts": {"written": 5}})

    assert sum_up(board, counted | counted_by(board)).written == 8
