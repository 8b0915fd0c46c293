"""`make soak`: half an hour under a steady load; memory, open files and connections of every process must stay.

Exits 1 when a process grew by 5% or more after the first five minutes, opened ever more files or connections, ended,
or when what was sent did not drain. Harms nothing; that is `make chaos`.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from ingestor import bootstrap
from tests.chaos import steady, watch
from tests.chaos.stage import Options, Stage
from tests.chaos.steady import Sample, Series

RESULTS = Path("chaos-results")
#: Shown, not judged: a store's cache grows with what is stored, the source's book with what is sent, and helpers of
#: workers ("other") live shortly.
_OTHERS = ("store", "source", "mosquitto", "other")
_EVERY_S = 5.0
_SAY_EVERY_S = 60.0
_DRAIN_WITHIN_S = 120


class Soak:
    """Takes a sample of every process each five seconds."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._begun = time.monotonic()
        self._found: dict[int, Series] = {}
        self.broker = Series("broker's own count", 0)

    @property
    def series(self) -> list[Series]:
        """What was seen, in the order of names."""
        found = [one for one in self._found.values() if one.name != "gone"]
        return [*sorted(found, key=lambda one: (one.name, one.pid)), self.broker]

    def run(self, seconds: float, console: Console) -> None:
        """Look until the time is over."""
        said_s = 0.0
        while (passed := time.monotonic() - self._begun) < seconds:
            self._look(passed)
            if passed - said_s >= _SAY_EVERY_S:
                said_s = passed
                total = sum(one.samples[-1].memory_mb for one in self._found.values() if one.samples)
                done = watch.read_moment(self._stage).ended
                console.print(f"[{passed:5.0f} s] {done:,} events done, {total:.0f} MB", markup=False, highlight=False)
            time.sleep(_EVERY_S)

    def _look(self, at_s: float) -> None:
        for name, process in self._stage.processes():
            with contextlib.suppress(psutil.Error):
                sample = Sample(
                    at_s, process.memory_info().rss / 1e6, process.num_fds(), len(process.net_connections("all"))
                )
                one = self._found.setdefault(process.pid, Series(name, process.pid, name not in _OTHERS))
                one.samples.append(sample)
        state = bootstrap.open_state(self._stage.settings)
        try:
            self.broker.samples.append(Sample(at_s, int(state.info("memory")["used_memory"]) / 1e6, 0, 0))
        finally:
            state.close()


def run_soak(options: Options, warm_up_s: float, console: Console) -> dict[str, Any]:
    """Run once; return what was found as plain values."""
    with Stage(options) as stage:
        console.print(f"the stack runs in {stage.folder} for {options.seconds} s", highlight=False)
        stage.tell("go")
        soak = Soak(stage)
        soak.run(options.seconds, console)
        stage.tell("end")
        sent = stage.wait(lambda: stage.said("sent"), 120, "the source's last confirmations")
        left = watch.wait_until_empty(stage, _DRAIN_WITHIN_S, _DRAIN_WITHIN_S)
        lag_s = watch.worst_lag_s(stage)
    verdicts = steady.judge(soak.series, options.seconds, warm_up_s=warm_up_s)
    return {
        "title": f"{options.rate:g} events/s for {options.seconds} s",
        "warm_up_s": warm_up_s,
        "sent": sum(sent.values()),
        "worst_lag_s": lag_s,
        "left": left,
        "good": not left and not any(verdict.fault for verdict in verdicts),
        "processes": [dataclasses.asdict(verdict) for verdict in verdicts],
        "minutes": {f"{one.name} {one.pid}": _each_minute(one) for one in soak.series},
    }


def _each_minute(series: Series) -> list[float]:
    """Return the memory (MB) at about each full minute."""
    every = max(1, round(60 / _EVERY_S))
    return [round(sample.memory_mb, 1) for sample in series.samples[::every]]


def show(result: dict[str, Any], console: Console) -> None:
    """Print a result."""
    table = Table(title=f"{result['title']}; compared: after {result['warm_up_s']:g} s and at the end")
    for name in ("process", "MB", "growth", "files", "connections", "fault"):
        table.add_column(name, justify="left" if name in ("process", "fault") else "right")
    for row in result["processes"]:
        first, last = row["memory_mb"]
        files, connections = ("{} → {}".format(*row[name]) for name in ("files", "connections"))
        sizes = f"{first:.1f} → {last:.1f}"
        table.add_row(f"{row['name']} ({row['pid']})", sizes, f"{row['growth']:.1%}", files, connections, row["fault"])
    console.print(table)
    console.print(f"sent {result['sent']:,}; worst lag {result['worst_lag_s']:.1f} s", highlight=False)
    if result["left"]:
        console.print(f"[red]not drained: {result['left']}[/red]")
    console.print("[green]steady[/green]" if result["good"] else "[red]FAILED[/red]")


def parse(arguments: list[str] | None = None) -> tuple[Options, float]:
    """Return what the command line asks for, and the warm-up (s)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=1800, help="length of the load")
    parser.add_argument("--rate", type=float, default=1000.0, help="events a second by both roads together")
    parser.add_argument("--warm-up", type=float, default=steady.WARM_UP_S, help="seconds that are not judged")
    parser.add_argument("--broker", choices=("redis", "rabbitmq"), default="redis", help="the task broker")
    parser.add_argument("--keep", default="", metavar="FOLDER", help="run in that folder and leave it behind")
    asked = parser.parse_args(arguments)
    options = Options(seconds=asked.seconds, rate=asked.rate, broker=asked.broker, clock=False, keep=asked.keep)
    return options, asked.warm_up


def main() -> int:
    """Run, print, save."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped then, too
    options, warm_up_s = parse()
    console = Console(width=140 if not sys.stdout.isatty() else None)
    result = run_soak(options, warm_up_s, console)
    show(result, console)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / time.strftime("soak-%Y%m%d-%H%M%S.json")
    path.write_text(json.dumps(result, indent=2, default=str) + "\n")
    console.print(f"saved {path}", highlight=False)
    return 0 if result["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
