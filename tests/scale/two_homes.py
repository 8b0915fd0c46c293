"""What a noisy home does to a quiet one: B's latency alone, and while A sends ten times as much.

`python -m tests.scale.two_homes [--rate 20] [--times 10] [--seconds 40]`
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.scale.installation import TOKEN, await_entry, board_of, host, start_home, start_up

#: A listener tells the latency of its last 1,000 batches, some 55 s of them at 20 events a second: with so long a time
#: before the first reading counts, what happened at the start is not among them at the end.
_WARM_UP_S = 40.0


def measure(rate: float, times: float, seconds: float) -> dict[str, Any]:
    """Return B's latency with and without A beside it."""
    alone = _latency(rate, 0.0, seconds)
    beside = _latency(rate, rate * times, seconds)
    return {
        "events_per_s_of_b": rate,
        "events_per_s_of_a": rate * times,
        "alone_ms": alone,
        "beside_ms": beside,
        "p95_times": round(beside["p95"] / alone["p95"], 2),
    }


def _latency(rate_b: float, rate_a: float, seconds: float) -> dict[str, float]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="two-homes-")))
        # A is there in both runs, so that the homes share the queues in both.
        first = start_home(stack, rate_a or 0.1, seed=1)
        second = start_home(stack, rate_b, seed=2)
        homes = [{"name": "b", "homeassistant": {"url": second, "token": TOKEN}}]
        settings = {
            "HA_INGESTOR_HOME": "a",
            "HA_INGESTOR_HOMEASSISTANT__URL": first,
            "HA_INGESTOR_HOMEASSISTANT__TOKEN": TOKEN,
            "HA_INGESTOR_HOMES": json.dumps(homes),
        }
        board = board_of(start_up(stack, folder, settings))
        await_entry(board, "listener:b:websocket")
        await_entry(board, f"worker:write@{host()}")
        time.sleep(_WARM_UP_S)
        seen = []
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            time.sleep(1.0)
            intake = board.all().get("listener:b:websocket", {}).get("intake", {})
            if intake.get("lag_p95_ms"):
                seen.append((float(intake["lag_ms"]), float(intake["lag_p95_ms"])))
        p50, p95 = seen[-1]
        return {"p50": round(p50, 1), "p95": round(p95, 1)}


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=20.0, help="events a second of B")
    parser.add_argument("--times", type=float, default=10.0, help="how many times as much A sends")
    parser.add_argument("--seconds", type=float, default=40.0)
    given = parser.parse_args()
    print(json.dumps(measure(given.rate, given.times, given.seconds), indent=2))


if __name__ == "__main__":
    main()
