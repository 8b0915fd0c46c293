"""Takes the pictures of docs/how-to/monitor-with-flower.md from a stack: `python -m tests.flower_pictures`."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from tests.chromium import Chromium, Page
from tests.system.stack import ROOT, Stack, wait_until

FOLDER = ROOT / "docs" / "pictures"
_WIDTH = 1200
#: Long enough for each page to have something to tell.
_RUNS_S = 60.0


def main() -> int:
    """Run the demo home for a minute, then look at each page; `write` stands still when the queues are shown."""
    with ExitStack() as held:
        data = Path(held.enter_context(tempfile.TemporaryDirectory())) / "data"
        stack = Stack(data, HA_INGESTOR_DEMO__RATE="20").start()
        held.callback(stack.stop)
        browser = held.enter_context(Chromium())
        page = held.enter_context(browser.open())
        password = data / "flower-password"
        wait_until(password.exists, 120, "Flower")
        page.sign_in("admin", password.read_text().strip())
        time.sleep(_RUNS_S)
        _take(page, f"{stack.flower}/workers", "flower", "document.querySelectorAll('#workers-table tbody tr').length")
        _take(
            page, f"{stack.flower}/tasks", "flower-tasks", "document.querySelectorAll('#tasks-table tbody tr').length"
        )
        _take(
            page,
            f"{stack.flower}/task/{_a_task(stack, data)}",
            "flower-task",
            "document.body.innerText.includes('batch ')",
        )
        for pid in stack.pids("write@"):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(10.0)
        _take(
            page, f"{stack.flower}/broker", "flower-queues", "document.querySelectorAll('#queue-table tbody tr').length"
        )
        for pid in stack.pids("write@"):
            os.kill(pid, signal.SIGCONT)
    return 0


def _a_task(stack: Stack, data: Path) -> str:
    login = ("admin", (data / "flower-password").read_text().strip())
    tasks: dict[str, Any] = requests.get(f"{stack.flower}/api/tasks?limit=200", auth=login, timeout=10).json()
    return next(name for name, one in tasks.items() if one["name"].startswith("tasks.enrich") and one["runtime"])


def _take(page: Page, url: str, name: str, rows: str) -> None:
    page.visit(url, width=_WIDTH)
    wait_until(lambda: page.value(rows), 120, f"rows on {url}")
    time.sleep(2.0)  # what comes by a request of its own, and what moves into its place
    path = FOLDER / f"{name}.png"
    path.write_bytes(page.picture())
    sys.stdout.write(f"{path}: {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    sys.exit(main())
