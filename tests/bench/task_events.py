"""`python -m tests.bench.task_events`: what Flower's task events cost, in one run: windows with and without, in turn.

The cost is processor time for each event of the home, of all processes; where they are what limits, it is throughput.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from ingestor.queue.app import make_app
from tests.bench import measure
from tests.bench.case import Bench, Case

#: Between two windows: what was under way counts in neither.
_SETTLES_S: Final = 1.0
_WARM_S: Final = 12.0
_PIPELINE: Final = ("listener", "validate", "enrich", "write", "broker", "flower")


class Comparison(Bench):
    """A stack under load whose workers are told in turn to send task events, and not to."""

    def compare(self, windows: int, window_s: float) -> None:
        """Print the processor time for each event of the home by process, with task events and without."""
        self._start_servers()
        self._wait_for_workers(self._start([sys.executable, "-m", "ingestor", "up"], "up"))
        self._start_load()
        time.sleep(_WARM_S)
        control = make_app(self.settings.broker_url).control
        found: dict[bool, list[dict[str, float]]] = {True: [], False: []}
        for number in range(windows):
            told = number % 4 in (0, 3)  # with, without, without, with: what drifts falls on both
            (control.enable_events if told else control.disable_events)()
            time.sleep(_SETTLES_S)
            found[told].append(self._window(window_s))
        _show(found)

    def _environment(self) -> dict[str, str]:
        # Flower itself asks for them every five seconds.
        return super()._environment() | {"FLOWER_ENABLE_EVENTS": "false"}

    def _window(self, window_s: float) -> dict[str, float]:
        before, began = measure.cpu_by_stage(self.roots), time.monotonic()
        time.sleep(window_s)
        after, took_s = measure.cpu_by_stage(self.roots), time.monotonic() - began
        events = took_s * self.case.rate
        return {stage: (after.get(stage, 0.0) - before.get(stage, 0.0)) / events * 1e6 for stage in _PIPELINE}


def _show(found: dict[bool, list[dict[str, float]]]) -> None:
    print(f"{'us/event':12} {'with':>8} {'without':>8} {'cost':>7}")
    sums = {True: 0.0, False: 0.0}
    for stage in _PIPELINE:
        told, untold = (statistics.median(one[stage] for one in found[which]) for which in (True, False))
        sums = {True: sums[True] + told, False: sums[False] + untold}
        print(f"{stage:12} {told:8.1f} {untold:8.1f} {told - untold:7.1f}")
    share = (sums[True] - sums[False]) / sums[False]
    print(f"{'all':12} {sums[True]:8.1f} {sums[False]:8.1f} {sums[True] - sums[False]:7.1f} = {share:.1%}")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=2000, help="events a second (2000)")
    parser.add_argument("--windows", type=int, default=8, help="windows, half of them with task events (8)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a window (5)")
    options = parser.parse_args()
    seconds = int(_WARM_S + options.windows * (options.seconds + _SETTLES_S)) + 5
    case = Case("websocket", "sqlite", options.rate, seconds)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        Comparison(case, folder, stack).compare(options.windows, options.seconds)


if __name__ == "__main__":
    main()
