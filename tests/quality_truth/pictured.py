"""`python -m tests.quality_truth.pictured FOLDER`: the report on a home with planted faults, and its pictures.

The month goes through the rules at the door into an embedded store, its hours are judged from there, and the report is
the one that `ha-ingestor quality report` makes; headless Chromium then shows it as a desktop and as a phone does.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ingestor import bootstrap, bootstrap_quality
from ingestor.demo.clock import HOUR_US
from ingestor.demo.faults import Said
from ingestor.demo.month import Month
from ingestor.events.counts import Counts, Page
from ingestor.events.event import Event, Place
from ingestor.events.point import Point
from ingestor.pipeline.quality_hours import HourRoller, HourSources
from ingestor.quality.book_sql import DAY_US, SqlQualityBook
from ingestor.quality.hours import LAG_BUCKETS, HourFacts, lag_bucket
from ingestor.quality.stored_hours import Beside
from ingestor.reports.document import Report
from ingestor.reports.render import FORMS, rendered
from ingestor.reports.schedule import Due
from ingestor.settings import Settings, StorageSettings
from ingestor.storage.gaps import GapRecord, GapState
from ingestor.storage.port import Store
from ingestor.storage.schema import PointBuilder, point_time_ns
from tests.chromium import Chromium
from tests.quality_truth.feeding import HOME, Feeding
from tests.quality_truth.run import START_US

DAYS: Final = 21
#: The week before this day has most of the planted faults.
LAST_DAY: Final = 19
WIDTHS: Final = (1280, 390)


#: When nobody listened: hours from the beginning of the week that is shown, and minutes.
_GAPS: Final = ((27.0, 25), (86.5, 130), (140.2, 2))


class Storing(Feeding):
    """Feeds a month into a store, and counts it for the ledger."""

    def __init__(self, month: Month, store: Store, gaps: Sequence[GapRecord]) -> None:
        super().__init__(month)
        self._store = store
        self._gaps = gaps
        self._builder = PointBuilder(StorageSettings())
        self.hours: dict[int, Counts] = {}
        self._lags: dict[int, dict[str, list[int]]] = defaultdict(dict)

    def _hour(self, hour_us: int, said: list[Said]) -> list[HourFacts]:
        heard = [one for one in said if not any(gap.start_us <= one.time_us < gap.end_us for gap in self._gaps)]
        events = [self._event(slot, one) for slot, one in enumerate(heard)]
        looked = self._gate.look(list(events), (hour_us + 3 * HOUR_US) * 1000)
        rejected = {event.slot for event, _error in looked.rejected}
        points = [point for event in events if event.slot not in rejected for point in self._points(event)]
        for begin in range(0, len(points), 1000):
            self._store.write(points[begin : begin + 1000])
        for event in events:
            lags = self._lags[event.time_us // HOUR_US].setdefault(event.subject, [0] * LAG_BUCKETS)
            lags[lag_bucket(event.received_ns / 1e6 - event.time_us / 1e3)] += 1
        many, bad = len(events), len(rejected)
        self.hours[hour_us // 1_000_000] = Counts(many, many, many, many - bad, 0, bad)
        return []

    def beside(self, hour_us: int) -> Beside:
        """Return what the write stage counts of an hour."""
        return Beside(lags={name: tuple(lags) for name, lags in self._lags[hour_us // HOUR_US].items()})

    def _points(self, event: Event) -> list[Point]:
        event.context_id = f"01{event.time_us:024x}"
        placed = self._month.places[event.subject]
        domain = event.subject.partition(".")[0]
        place = Place(event.subject, domain, area=placed.area or "-", device=placed.device or "-")
        return self._builder.points(event, place, HOME, point_time_ns(event))


def report_of(folder: Path, *, seed: int = 1) -> Report:
    """Simulate, store, judge, and return the report on the last week, held against the one on the week before."""
    settings = Settings(data_dir=folder)
    database, store = bootstrap.open_metadata(settings), bootstrap.open_store(settings)
    month = Month(seed, START_US, days=DAYS)
    end_us = START_US + LAST_DAY * DAY_US
    gaps = _gaps(end_us - 7 * DAY_US)
    known = bootstrap.open_gaps(settings, database)
    for gap in gaps:
        known.observe(gap)
        known.save(replace(gap, state=GapState.PARTLY_FILLED, why="what Home Assistant still knew was read back"))
    feeding = Storing(month, store, gaps)
    for _ in feeding.facts(end_us):
        pass
    bootstrap.open_ledger(settings, database).add([Page("b", 1, HOME, "websocket", "j", feeding.hours, {})])
    subjects = feeding.context().subjects
    spans = [(gap.start_us, gap.end_us) for gap in gaps]
    sources = HourSources(
        store,
        lambda: subjects,
        lambda start, end: [span for span in spans if span[0] < end and span[1] > start],
        feeding.beside,
    )
    roller = HourRoller(
        HOME,
        SqlQualityBook(database),
        sources,
        settle_us=0,
        look_back_us=DAYS * DAY_US,
        now_us=lambda: end_us,
    )
    while roller.step(3600.0):
        pass
    maker = bootstrap_quality.open_report_maker(settings, HOME, store=store, database=database)
    before = maker.now(Due("weekly", end_us - 14 * DAY_US, end_us - 7 * DAY_US), end_us - 7 * DAY_US)
    maker.shelf.save(before, ())
    made = maker.now(Due("weekly", end_us - 7 * DAY_US, end_us), end_us)
    store.close()
    database.dispose()
    return made


def _gaps(start_us: int) -> list[GapRecord]:
    spans = [(start_us + int(hour * HOUR_US), minutes * 60_000_000) for hour, minutes in _GAPS]
    return [
        GapRecord(f"g{begin}", HOME, "websocket", "not_running", begin, begin + lasts_us) for begin, lasts_us in spans
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report in every form, and its pictures, into the folder that is named."""
    folder = Path(*(arguments or sys.argv[1:]))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        report = report_of(Path(data))
    for form in FORMS:
        (folder / f"report.{form}").write_bytes(rendered(report, form))
    with Chromium() as browser, browser.open() as page:
        for width in WIDTHS:
            for dark in (False, True):
                page.show((folder / "report.html").resolve(), width=width, dark=dark)
                (folder / f"report-{width}-{'dark' if dark else 'light'}.png").write_bytes(page.picture())
    return 0


if __name__ == "__main__":
    sys.exit(main())
