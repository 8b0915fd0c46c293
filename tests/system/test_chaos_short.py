"""`make chaos`, a short one: the real stack under fire for a minute, and every field of every event compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from tests.chaos import report
from tests.chaos.run import run_chaos
from tests.chaos.stage import Options
from tests.conftest import missing
from tests.servers import MissingServerError

#: Of each sort one: a process, a whole pool, the broker, its memory, the store's answers, the way to Home Assistant.
HARMS = ("kill-in-a-write", "kill-listener", "flush-broker", "kill-broker", "store-500", "ha-cut", "rename", "move")


@pytest.mark.timeout(600)
def test_a_minute_of_chaos_loses_nothing_and_stores_nothing_twice(tmp_path: Path) -> None:
    options = Options(seconds=60, rate=300, seed=7, short=True, only=list(HARMS), keep=str(tmp_path / "chaos"))

    try:
        run = run_chaos(options, Console(width=140))
    except MissingServerError as error:
        missing(error)
    report.show(run, Console(width=140))

    assert {done.name for done in run.done} >= {"kill-in-a-write", "kill-broker", "flush-broker", "ha-cut"}
    found = run.findings
    assert sum(found.sent.values()) > 12_000
    assert (found.total_lost, found.duplicates, found.wrong, found.invented) == (0, 0, 0, 0), found.examples
    assert run.good, run.left or found.examples
