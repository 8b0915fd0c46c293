"""The demo home of a system test, heard by the stack and by the test itself; and what both say of a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.homeassistant.talk import Conversation
from tests.servers import free_port
from tests.system.stack import ROOT, Stack, wait_until
from tests.system.witness import Witness

Change = tuple[str, int, str | None]


class Demo:
    """The demo home in a process of its own; the stack hears it by a line that can be cut, the test by another."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._log = (folder / "demo.out").open("w")
        command = [sys.executable, "-m", "ingestor.demo", "--port", str(self.port), *options]
        self.process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=self._log, stderr=self._log
        )

    def connect(self) -> Conversation:
        """Return a connection of its own."""
        return Conversation(f"http://127.0.0.1:{self.port}", "demo-home-token")

    def close(self) -> None:
        """End the home."""
        self.process.terminate()
        self.process.wait(10)
        self._log.close()


def answers(demo: Demo) -> bool:
    """Tell whether the home takes connections."""
    try:
        demo.connect().cut()
    except OSError:
        return False
    return True


def gaps(stack: Stack) -> dict[str, Any]:
    """Return what `ha-ingestor gaps --json` says."""
    found: dict[str, Any] = json.loads(stack.run("gaps", "--json"))
    return found


def ended(stack: Stack, since_us: int) -> list[dict[str, Any]]:
    """Return the gaps that ended after a time, once there is one and all have been filled or given up."""

    def found() -> list[dict[str, Any]]:
        now = gaps(stack)
        return [gap for gap in now["gaps"] if gap["end_us"] > since_us] if now["all_ended"] else []

    told = wait_until(found, 60, "gaps that ended")
    assert isinstance(told, list)
    return told


def truth(witness: Witness, start_us: int, end_us: int) -> Counter[Change]:
    """Return the changes of that time, as the home said them."""
    said = witness.of_type("state_changed")
    return Counter(one.change for one in said if start_us <= one.time_us < end_us)


def stored(stack: Stack, start_us: int, end_us: int, *words: str) -> Counter[Change]:
    """Return the changes of that time, as the store has them; `words` go to `ha-ingestor events`."""
    events = stack.events("--kind", "state", "--limit", "100000", *words)
    changes = [(one["fields"]["entity_id"], one["time_ns"] // 1000, one["fields"].get("state")) for one in events]
    return Counter(change for change in changes if start_us <= change[1] < end_us)


def compared(stack: Stack, witness: Witness, start_us: int, *words: str) -> None:
    """See that from the start until now what is stored is what happened, once each; `words` as above."""
    wait_until(lambda: len(truth(witness, start_us, time.time_ns() // 1000)) > 100, 60, "enough happens")
    end_us = time.time_ns() // 1000
    wait_until(lambda: witness.said[-1].time_us > end_us, 60, "more happens")
    expected = truth(witness, start_us, end_us)
    wait_until(lambda: not expected - stored(stack, start_us, end_us, *words), 60, "everything stored")
    assert stored(stack, start_us, end_us, *words) == expected
    assert len(expected) > 100
