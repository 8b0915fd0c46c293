"""A home as the tests of the API find it: some of everything that a route can tell of."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ingestor import bootstrap, bootstrap_quality
from ingestor.events.counts import Counts, Page
from ingestor.export.jobs.job import ExportJob
from ingestor.home.history import TIMELINE
from ingestor.home.objects import Observed
from ingestor.home.traces.reading import read_trace
from ingestor.home.traces.store import RoutineTraces
from ingestor.quality.book_sql import JudgedHour, Kept
from ingestor.quality.hours import HourFacts
from ingestor.quality.judging import HomeState
from ingestor.quality.model import Problem, ProblemKind, Scope
from ingestor.quality.subjects import Subject
from ingestor.quality.sums import Sums
from ingestor.quality.tally import Carry
from ingestor.reports.shelf_sql import SqlReportShelf
from ingestor.storage.gaps import GapRecord
from ingestor.storage.port import EventQuery
from ingestor.storage.quarantine import Quarantined
from ingestor.webhooks.book_sql import SqlWebhookBook
from ingestor.webhooks.model import Hook, Parcel, Wanted
from tests.fakes.report_home import example_report
from tests.integration.api_bench import SECOND_US, T0_US, ApiBench, called, state

RECORDED = Path(__file__).parent.parent / "recordings" / "home_relations_2026.json.gz"
HOUR_US = 3600 * SECOND_US
#: A whole hour, 12 min 36 s after the first event.
FROM_US = (T0_US // HOUR_US + 1) * HOUR_US
KITCHEN = {"area": "Kitchen", "device": "Climate", "device_class": "temperature", "integration": "mqtt"}


def fill(bench: ApiBench) -> None:
    """Write an hour of events, a recorded home with its runs, and something of all that is kept of it."""
    bench.write(
        *(
            state(60 * minute, "sensor.kitchen", f"{20 + minute / 10}", place=KITCHEN, unit="°C")
            for minute in range(60)
        ),
        *(state(300 * turn, "light.bed_light", "on" if turn % 2 else "off") for turn in range(12)),
        called(300, "light.bed_light"),
    )
    database = bootstrap.open_metadata(bench.settings)
    _write_home(bench, database)
    _write_quality(bench, database)
    _write_kept(bench, database)
    _write_webhooks(database)
    database.dispose()
    _write_exports(bench)


def _write_home(bench: ApiBench, database: sa.Engine) -> None:
    objects = json.loads(gzip.decompress(RECORDED.read_bytes()))["objects"]
    bootstrap.open_objects(bench.settings, database).take("home", Observed(objects))
    answers = json.loads(gzip.decompress(RECORDED.with_name("traces.json.gz").read_bytes()))["2026"]["get"]
    traces = [trace for answer in answers if (trace := read_trace(answer)) is not None]
    RoutineTraces(database, keep_days=36_500).add("home", traces)
    row = dict.fromkeys((column.name for column in TIMELINE.columns if column.name != "id"), "")
    entity: dict[str, Any] = {"entity_id": "sensor.kitchen", "series": "sensor.kitchen", "integration": "mqtt"}
    with database.begin() as connection:
        rows = [{**row, **entity, "home": "home", "version": 1, "effective_us": 0, "labels": []}]
        connection.execute(sa.insert(TIMELINE), rows)


def _write_quality(bench: ApiBench, database: sa.Engine) -> None:
    kept = Kept(
        HomeState(hour_us=FROM_US),
        {"sensor.kitchen": Carry("21", 21.0, FROM_US)},
        {
            "sensor.kitchen": Subject(
                "sensor.kitchen", "sensor.kitchen", "Kitchen", "sensor", area="Kitchen", device="d"
            )
        },
    )
    facts = HourFacts("home", "sensor.kitchen", FROM_US, events=10, values=10, lags=(1, 2, 3), last_state="21")
    sums = Sums("sensor.kitchen")
    sums.add(facts)
    dead = Problem(ProblemKind.DEAD, Scope.ENTITY, "sensor.attic", FROM_US, None, 3, "nothing for days", "battery")
    book = bootstrap_quality.open_quality_book(bench.settings, database)
    book.save("home", JudgedHour(kept, [facts], {"sensor.kitchen": sums}, (), (dead,)))
    SqlReportShelf(database).save(example_report(), [])


def _write_kept(bench: ApiBench, database: sa.Engine) -> None:
    counts = Counts(frames=9, settled=9, received=8, written=8, lost=1)
    page = Page("book", 1, "home", "websocket", "home-websocket", {FROM_US // SECOND_US: counts}, {})
    bootstrap.open_ledger(bench.settings, database).add([page])
    gap = GapRecord("home:websocket:1", "home", "websocket", "connection_lost", FROM_US, FROM_US + SECOND_US)
    bootstrap.open_gaps(bench.settings, database).observe(gap)
    raw = b'{"entity_id": "lock.door", "access_token": "my secret"'
    piece = Quarantined("b", 1, "home", "mqtt", "invalid_json", "cut", raw, FROM_US * 1000, "topic", "home/door")
    bootstrap.open_quarantine(bench.settings, database).put([piece])


def _write_webhooks(database: sa.Engine) -> None:
    """Register two webhooks; of one some deliveries were given up."""
    book = SqlWebhookBook(database)
    for hook_id in ("wh_lights", "wh_old"):
        book.create(Hook(hook_id, "https://example.org/hook", Wanted(), made_us=FROM_US), 10)
    parcels = [Parcel(f"msg_{number}", "messages", 1, b'{"type": "event.new"}') for number in range(1, 5)]
    book.add("wh_lights", parcels, "home:1-0", FROM_US)
    book.tidy("wh_lights", FROM_US + 2, give_up_after_us=1, keep_dead=10, keep_delivered=10)


def _write_exports(bench: ApiBench) -> None:
    """Make a file that is ready, and a job that nobody has begun."""
    shelf = bootstrap.open_export_shelf(bench.settings)
    query = EventQuery(entity="sensor.*", limit=3)
    given: dict[str, Any] = {"name": "sensors", "form": "csv", "packed": None, "query": query, "by": "installation"}
    ready = ExportJob(job_id="0123456789abcdef", created_us=T0_US, rows=3, **given)
    shelf.add(ready)
    content = b"event_id\na\nb\nc\n"
    (shelf.folder_of(ready.job_id) / "file").write_bytes(content)
    ready.state, ready.size, ready.etag, ready.expires_us = "ready", len(content), '"3"', T0_US * 2
    shelf.save(ready)
    shelf.add(ExportJob(job_id="fedcba9876543210", created_us=T0_US, **given))
