"""`make chaos`: the real stack under load and fire, and every field of every event compared at the end.

Exits 1 unless nothing is lost, nothing double, wrong or invented, and no good event is in quarantine; with
--no-journal unless something is lost: that proves that losses are seen.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import signal
import sys
import threading
import time
from pathlib import Path

from rich.console import Console

from tests.chaos import expected, report, schedule, watch
from tests.chaos.compare import compare
from tests.chaos.harms import HARMS
from tests.chaos.report import Done, Run
from tests.chaos.schedule import Planned
from tests.chaos.stage import DATABASE, Options, Stage

RESULTS = Path("chaos-results")
SHORT_S = 100
_SAY_EVERY_S = 5
_DRAIN_WITHIN_S = 600
_PATIENCE_S = 150


def repairs_gaps() -> bool:
    """Tell whether the product fills gaps: then connections to Home Assistant may be cut."""
    return importlib.util.find_spec("tasks.history") is not None


def run_chaos(options: Options, console: Console) -> Run:
    """Run once; return what was found."""
    plan = schedule.make(options, repairs_gaps=repairs_gaps())
    with Stage(options) as stage, watch.Watcher(stage) as watcher:
        fire = Fire(stage, plan, console)
        console.print(f"the stack runs in {stage.folder}; {len(plan)} harms in {options.seconds} s", highlight=False)
        stage.tell("go")
        fire.burn(options.seconds, watcher)
        if not options.journal:
            fire.flush()
        stage.tell("end")
        stage.wait(lambda: stage.said("sent"), 180, "the source's last confirmations")
        ended = time.monotonic()
        left = watch.wait_until_empty(stage, _DRAIN_WITHIN_S, _PATIENCE_S)
        drain_s = time.monotonic() - ended
        console.print(f"drained in {drain_s:.0f} s; comparing …", highlight=False)
        wanted = expected.read(stage.book, fire.deaf)
        found = compare(wanted, stage.influx.url, DATABASE, stage.data_dir / "metadata.sqlite")
        title = _title(options)
        lag_s = watch.worst_lag_s(stage)
        gaps = [f"{gap['reason']}: {gap['state']} {gap['why']}" for gap in watch.read_gaps(stage).get("gaps", ())]
        return Run(title, found, watcher.peaks, fire.done, gaps, lag_s, drain_s, left, watcher.now.resent)


def _title(options: Options) -> str:
    more = [", two worker hosts"] if options.hosts else []
    more += [] if options.journal else [", journal switched off"]
    return f"{options.rate:g} events/s for {options.seconds} s, {options.broker}{''.join(more)}, seed {options.seed}"


class Fire:
    """Does the plan's harms at their times, each in a thread of its own, and says what it does."""

    def __init__(self, stage: Stage, plan: list[Planned], console: Console) -> None:
        self._stage, self._plan, self._console = stage, list(plan), console
        self._chance = random.Random(stage.options.seed)
        self._begun = 0.0
        self._threads: list[threading.Thread] = []
        self.done: list[Done] = []
        #: Spans (microseconds) in which listeners could not keep what they heard.
        self.deaf: list[tuple[int, int]] = []

    def burn(self, seconds: float, watcher: watch.Watcher) -> None:
        """Go through the plan; return when the time is over and every harm has been put right."""
        self._begun = time.monotonic()
        said_s = 0.0
        while (passed := time.monotonic() - self._begun) < seconds:
            if passed - said_s >= _SAY_EVERY_S:
                said_s = passed
                self._say(watcher)
            while self._plan and self._plan[0].at_s <= passed:
                self._begin(self._plan.pop(0))
            time.sleep(0.1)
        for thread in self._threads:
            thread.join(90)

    def flush(self) -> None:
        """Empty the broker under load: without a journal that must show."""
        self._do(Planned(0, next(harm for harm in HARMS if harm.name == "flush-broker")))

    def _say(self, watcher: watch.Watcher) -> None:
        now = watcher.now
        passed = time.monotonic() - self._begun
        self._console.print(
            f"[{passed:5.0f} s] {now.ended:,} events done, {now.pending:,} batches wait, {now.resent:,} sent again,"
            f" {now.listeners} listeners",
            markup=False,
            highlight=False,
        )

    def _begin(self, planned: Planned) -> None:
        thread = threading.Thread(target=self._do, args=(planned,), name=planned.harm.name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _do(self, planned: Planned) -> None:
        harm, start_us = planned.harm, time.time_ns() // 1000
        at_s = time.monotonic() - self._begun
        try:
            told = harm.do(self._stage, self._chance)
        except Exception as error:  # noqa: BLE001 -- what is killed already cannot be harmed; it is said
            told = f"could not be done: {type(error).__name__}: {error}"
        if harm.name == "fill-disk":
            self.deaf.append((start_us, time.time_ns() // 1000))
        self.done.append(Done(round(at_s, 1), harm.name, told))
        self._console.print(f"[{at_s:5.0f} s] {harm.name}: {told}", markup=False, highlight=False)


def parse(arguments: list[str] | None = None) -> Options:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=0, help="length of the load (300; with --short 100)")
    parser.add_argument("--rate", type=float, default=2000.0, help="events a second by both roads together")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same events and the same plan")
    parser.add_argument("--broker", choices=("redis", "rabbitmq"), default="redis", help="the task broker")
    parser.add_argument("--hosts", action="store_true", help="two worker hosts, one is cut off (needs root)")
    parser.add_argument("--short", action="store_true", help="fewer harms in less time")
    parser.add_argument("--no-journal", action="store_true", help="forget batches as they are sent: losses must show")
    parser.add_argument("--only", action="append", default=[], metavar="HARM", help="do only harms of that name")
    parser.add_argument("--without", action="append", default=[], metavar="HARM", help="leave out harms of that name")
    parser.add_argument("--keep", default="", metavar="FOLDER", help="run in that folder and leave it behind")
    options = parser.parse_args(arguments)
    return Options(
        seconds=options.seconds or (SHORT_S if options.short else 300),
        rate=options.rate,
        seed=options.seed,
        broker=options.broker,
        short=options.short,
        journal=not options.no_journal,
        only=options.only,
        without=options.without,
        keep=options.keep,
        hosts=options.hosts,
    )


def main() -> int:
    """Run, print, save."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped then, too
    options, console = parse(), Console(width=140 if not sys.stdout.isatty() else None)
    run = run_chaos(options, console)
    report.show(run, console)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / time.strftime("chaos-%Y%m%d-%H%M%S.json")
    path.write_text(json.dumps(run.as_dict(), indent=2, default=str) + "\n")
    console.print(f"saved {path}", highlight=False)
    if not options.journal:
        console.print("losses were seen, as they must be" if run.findings.total_lost else "no loss seen: look into it")
        return 0 if run.findings.total_lost else 1
    return 0 if run.good else 1


if __name__ == "__main__":
    sys.exit(main())
