"""How autoscale answers a ten-fold burst: when nodes are wanted, when they work, when they are given back.

The store takes its time, so that batches wait for writers and not for processors: more nodes help on any machine then.
`python -m tests.scale.burst [--seconds 40]`
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ingestor.events.frame import Frame
from ingestor.home.model import Snapshot
from ingestor.home.publication import RedisMaps
from ingestor.intake.assemble import open_intake
from ingestor.queue.state import connect_state
from ingestor.settings import Settings
from tests.scale.installation import SlowStore, await_entry, board_of, host, start_up

#: Seconds that the store takes for a batch: a writer with one process writes four a second.
TAKES_S = 0.25
QUIET_PER_S, BURST_PER_S = 2.0, 20.0
_LOOK_EVERY_S = 0.25


class Source:
    """Puts frames into a journal, each a batch of its own, at a rate that may be changed at any time."""

    def __init__(self, intake: Any) -> None:
        self._intake = intake
        self.per_s = QUIET_PER_S
        self.sent = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send no more: the journal is closed next."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(1 / self.per_s):
            payload = json.dumps({"entity_id": "sensor.burst", "raw": str(self.sent)}).encode()
            self._intake.sink.add(Frame("topic", time.time_ns(), payload, "burst"))
            self.sent += 1


def measure(seconds: float) -> dict[str, Any]:
    """Run a quiet time, a burst of so many seconds, and two minutes after it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="burst-")))
        store = SlowStore(TAKES_S)
        stack.callback(store.close)
        settings = {
            "HA_INGESTOR_STORAGE__URL": store.url,
            "HA_INGESTOR_STORAGE__TOKEN": "any",
            "HA_INGESTOR_WORKERS__WRITE": "1",
            "HA_INGESTOR_WORKERS__UNKNOWN_WAIT_S": "0",
            "HA_INGESTOR_WORKERS__POOLS__WRITE__NODES_MAX": "8",
        }
        data = start_up(stack, folder, settings)
        board = board_of(data)
        await_entry(board, f"pools:{host()}")
        await_entry(board, f"worker:write@{host()}")
        own = Settings(data_dir=data)
        RedisMaps(connect_state(own.state_url)).publish(Snapshot("home", 1, 0, {}), ())
        source = Source(stack.enter_context(open_intake(own, "home", "burst", "mqtt")))
        stack.callback(source.stop)
        time.sleep(20)
        looks: list[dict[str, float]] = []
        began = time.monotonic()
        source.per_s = BURST_PER_S
        _look(board, looks, began, began + seconds)
        source.per_s = QUIET_PER_S
        _look(board, looks, began, began + seconds + 120)
        return _judge(looks, seconds)


def _look(board: Any, looks: list[dict[str, float]], began: float, until: float) -> None:
    while time.monotonic() < until:
        told = board.all().get(f"pools:{host()}", {}).get("pools", {}).get("write")
        if told:
            looks.append({"at_s": time.monotonic() - began, **told})
        time.sleep(_LOOK_EVERY_S)


def _judge(looks: list[dict[str, float]], seconds: float) -> dict[str, Any]:
    most = max(look["wanted"] for look in looks)
    numbers = [look["wanted"] for look in looks]
    turns = [after > before for before, after in itertools.pairwise(numbers) if after != before]
    first = next((look["at_s"] for look in looks if look["wanted"] > 1), None)
    working = next((look["at_s"] for look in looks if look["running"] > 1), None)
    back = next((look["at_s"] - seconds for look in looks if look["at_s"] > seconds and look["wanted"] == 1), None)
    calm = next((look["at_s"] for look in looks if working and look["at_s"] > working and look["oldest_s"] < 1), None)
    return {
        "batches_per_s": [QUIET_PER_S, BURST_PER_S],
        "burst_s": seconds,
        "nodes_wanted_after_s": first and round(first, 1),
        "more_nodes_work_after_s": working and round(working, 1),
        "nothing_waits_over_1_s_after_s": calm and round(calm, 1),
        "most_nodes": most,
        "oldest_waiting_s_at_most": max(look["oldest_s"] for look in looks),
        "one_node_again_after_the_burst_s": back and round(back, 1),
        "nodes_wanted": [
            (round(look["at_s"], 1), look["wanted"])
            for look, before in zip(looks, [None, *numbers], strict=False)
            if look["wanted"] != before
        ],
        "turns": sum(one != other for one, other in itertools.pairwise(turns)),
    }


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40.0)
    print(json.dumps(measure(parser.parse_args().seconds), indent=2))


if __name__ == "__main__":
    main()
