"""`python -m tests.bench.daily_report`: what a daily report costs on a month of a large home, in both stores.

30 days, 1,000 entities, 10 million events (`month_of_events`). The two weeks before the last day are rolled up as
the hourly step does on a running system; then the last day's hours and the report on it are made, in a process of their
own, step by step. The promise: both together in 60 s and 500 MB, and no step longer than 20 s.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from ingestor import bootstrap, bootstrap_quality
from ingestor.events.counts import Counts, Page
from ingestor.pipeline.quality_hours import HourRoller, HourSources
from ingestor.quality.book_sql import SqlQualityBook
from ingestor.quality.hours import HOUR_US
from ingestor.quality.stored_hours import Beside
from ingestor.reports.making import NotDone
from ingestor.reports.schedule import Due
from ingestor.settings import Settings, StorageSettings
from tests.bench.measure import peak_mb
from tests.bench.month_of_events import DAY_US, HOME, START_US, Large, fill_embedded, fill_influxdb, subjects
from tests.servers_stores import InfluxDB

#: As the tasks have it.
STEP_S: Final = 8.0
STORES: Final = ("embedded", "influxdb")
DATABASE: Final = "month"
#: What is written goes to its files soon, and they are brought into order soon, as they are after a month.
_FILLING: Final = {
    "GOGC": "300",
    "INFLUXDB_DATA_CACHE_SNAPSHOT_MEMORY_SIZE": "268435456",
    "INFLUXDB_DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION": "15s",
    "INFLUXDB_DATA_COMPACT_FULL_WRITE_COLD_DURATION": "20s",
}
_SETTLED_BY_S, _QUIET_PERCENT, _QUIET_TIMES = 1800.0, 5.0, 20


def measure_daily_report(large: Large, stores: tuple[str, ...] = STORES) -> list[dict[str, Any]]:
    """Measure each store."""
    return [_measured(name, large) for name in stores]


def _measured(name: str, large: Large) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="daily-") as made:
        folder = Path(made)
        with filled(name, folder, large) as (url, states, pid):
            before = _work("past", folder, url, large)
            store_s = _cpu_s(pid)
            found = {"store": name, "states": states, "past": before, **_work("day", folder, url, large)}
            if pid:
                found |= {"store_cpu_s": round(_cpu_s(pid) - store_s, 1), "store_peak_mb": peak_mb(pid)}
            return found


@contextmanager
def filled(name: str, folder: Path, large: Large) -> Iterator[tuple[str, int, int]]:
    """Fill a store; give its address, how many states it has, and its process (0: ours)."""
    if name == "embedded":
        yield "sqlite://", fill_embedded(folder / "events.sqlite", large), 0
        return
    with InfluxDB(settings=_FILLING) as server:
        server.create_database(DATABASE)
        states = fill_influxdb(server.url, DATABASE, large)
        # To be filled so fast takes it memory, and leaves it work, that no home's month does.
        _settle(server.pid)
        server.settings = {}
        server.restart()
        yield f"influxdb1://127.0.0.1:{server.port}/{DATABASE}", states, server.pid


def _settle(pid: int) -> None:
    """Wait until a server has had nothing to do for 40 s (compactions), half an hour at most."""
    process = psutil.Process(pid)
    until_s = time.monotonic() + _SETTLED_BY_S
    quiet = 0
    while quiet < _QUIET_TIMES and time.monotonic() < until_s:
        quiet = quiet + 1 if process.cpu_percent(2.0) < _QUIET_PERCENT else 0


def _work(what: str, folder: Path, url: str, large: Large) -> dict[str, Any]:
    """Have a process of its own do a part, and return what it says of itself."""
    size = [str(number) for number in (large.entities, large.days, large.events, large.judged_days)]
    command = [sys.executable, "-m", "tests.bench.daily_report", "--work", what, str(folder), url, *size]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        raise RuntimeError(told.stderr)
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found


def work(what: str, folder: Path, url: str, large: Large) -> dict[str, Any]:
    """Roll the past up, or the last day with its report; return the figures."""
    settings = Settings(data_dir=folder, home=HOME, storage=StorageSettings.model_validate({"url": url}))
    database, store = bootstrap.open_metadata(settings), bootstrap.open_store(settings)
    known = subjects(large)
    sources = HourSources(store, lambda: known, lambda _start, _end: (), lambda _hour: Beside())
    until_us = large.end_us - (DAY_US if what == "past" else 0)
    book = SqlQualityBook(database)
    roller = HourRoller(
        HOME, book, sources, settle_us=0, look_back_us=large.judged_days * DAY_US, now_us=lambda: until_us
    )
    begun, hours = time.perf_counter(), len(roller.due())
    steps = _steps(lambda: roller.step(STEP_S))
    rolled_s = time.perf_counter() - begun
    if what == "day":
        counts = {START_US // 1_000_000: Counts(1, 1, 1, 1, 0, 0)}
        counts |= {(large.end_us - hour * HOUR_US) // 1_000_000: Counts(9, 9, 9, 9, 0, 0) for hour in range(1, 25)}
        bootstrap.open_ledger(settings, database).add([Page("b", 1, HOME, "websocket", "j", counts, {})])
        maker = bootstrap_quality.open_report_maker(settings, HOME, store=store, database=database)
        due = Due("daily", large.end_us - DAY_US, large.end_us)

        def report() -> bool:
            until_s = time.monotonic() + STEP_S
            try:
                return maker.due(due, large.end_us, lambda: time.monotonic() < until_s) is None
            except NotDone:
                return True

        steps += _steps(report)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "hours": hours,
        "took_s": round(time.perf_counter() - begun, 1),
        "rolled_s": round(rolled_s, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": peak_mb(os.getpid()),
        "steps": len(steps),
        "longest_step_s": round(max(steps), 1),
    }


def _steps(step: Callable[[], bool]) -> list[float]:
    took = []
    more = True
    while more:
        begun = time.perf_counter()
        more = step()
        took.append(time.perf_counter() - begun)
    return took


def _cpu_s(pid: int) -> float:
    if not pid:
        return 0.0
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def sentence(found: dict[str, Any]) -> str:
    """Return one store's figures as a person reads them."""
    store = f"; the store {found['store_cpu_s']} s, {found['store_peak_mb']} MB" if "store_cpu_s" in found else ""
    return (
        f"daily report, {found['store']}, {found['states']:,} states: {found['took_s']} s"
        f" ({found['hours']} hours rolled up in {found['rolled_s']} s), {found['cpu_s']} s of CPU,"
        f" {found['peak_mb']} MB, {found['steps']} steps of {found['longest_step_s']} s at most{store}"
    )


def main() -> int:
    """Measure the stores that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", nargs=7, help=argparse.SUPPRESS)
    parser.add_argument("--stores", nargs="*", default=list(STORES), choices=STORES)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--judged-days", type=int, default=14, help="days of past that are rolled up before (14)")
    parser.add_argument("--entities", type=int, default=1000)
    parser.add_argument("--events", type=int, default=10_000_000)
    options = parser.parse_args()
    if options.work:
        what, folder, url, *size = options.work
        print(json.dumps(work(what, Path(folder), url, Large(*map(int, size)))))
        return 0
    for found in measure_daily_report(
        Large(options.entities, options.days, options.events, options.judged_days), tuple(options.stores)
    ):
        print(sentence(found), json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
