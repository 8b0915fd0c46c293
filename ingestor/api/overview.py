"""How the installation is at one moment: what `status`, `/api/health` and `/metrics` tell. Changes nothing."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingestor import bootstrap, bootstrap_quality
from ingestor.api.lag import Lag, read_lag
from ingestor.api.processes import ProcessSeen, seen_in
from ingestor.api.side_by_side import SideBySide
from ingestor.api.weather import read_weather
from ingestor.events.counts import hour_of
from ingestor.quality.book_sql import QualityHead
from ingestor.quality.clocks import HomeClocks
from ingestor.queue.app import make_app
from ingestor.queue.depths import Depths
from ingestor.queue.gauge import Load
from ingestor.queue.names import TaskType
from ingestor.queue.oldest import OldestWaiting
from ingestor.queue.pauses import Pause, Pauses
from ingestor.queue.topics_board import OUT
from ingestor.reports.shelf import KeptReport
from ingestor.settings import Settings
from ingestor.storage.breaker import BreakerState
from ingestor.storage.gaps import ENDED, GapRecord, GapState
from ingestor.storage.ledger import LedgerSummary, summed_up
from ingestor.storage.quarantine import Cause
from ingestor.storage.reconciled import Reconciliation
from ingestor.weather.desk import WeatherStatus
from ingestor.webhooks.model import Counted, Hook

if TYPE_CHECKING:
    import sqlalchemy

_COUNTS: Final = ("written", "duplicate", "rejected", "filtered", "lost")
_TIMEOUT_S: Final = 3.0
#: Reports that are made by schedule.
_KINDS: Final = ("daily", "weekly")
#: How far back an overview looks in the ledger: this hour, and a day before.
LEDGER_SPAN_S: Final = 86_400
#: The causes in quarantine with most pieces: so many are told.
MOST_CAUSES: Final = 20


@dataclass(frozen=True, slots=True)
class ReportsSeen:
    """The newest report of each home and kind, alerts that are not over by home, deliveries that are not done."""

    newest: Sequence[KeptReport]
    alerts: Mapping[str, int]
    deliveries: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Overview:
    """A reading. A part that could not be read is None, and `problems` says why."""

    time_s: float
    listeners: list[dict[str, Any]] | None
    workers: dict[str, dict[str, int]] | None
    queues: dict[str, int] | None
    quarantine: int | None
    quarantine_reasons: dict[str, int] | None
    gaps: dict[str, int] | None
    reconciled: list[Reconciliation] | None
    ledger: LedgerSummary | None
    lag: Lag
    store: BreakerState | None = None
    quarantine_causes: Sequence[Cause] | None = None
    weather: dict[str, WeatherStatus] | None = None
    clocks: Mapping[str, float] | None = None
    reports: ReportsSeen | None = None
    quality: Sequence[QualityHead] | None = None
    oldest_s: Mapping[str, float] | None = None
    pauses: Mapping[TaskType, Pause] | None = None
    broker_memory: float | None = None
    processes: Sequence[ProcessSeen] | None = None
    disk_free: float | None = None
    webhooks: Sequence[tuple[Hook, Counted]] | None = None
    mqtt_out: Mapping[str, Any] | None = None
    unread: Mapping[str, bool] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return the events that listeners have seen end, by outcome; `received` is their sum."""
        found = {name: sum(_count(entry, name) for entry in self.listeners or ()) for name in _COUNTS}
        return {"received": sum(found.values()), **found}

    def journal(self) -> dict[str, int]:
        """Return what waits in the journals of all listeners."""
        intakes = [entry.get("intake") or {} for entry in self.listeners or ()]
        return {
            "pending_batches": sum(int(intake.get("pending_batches", 0)) for intake in intakes),
            "bytes_on_disk": sum(_journal_bytes(intake) for intake in intakes),
        }

    def ledger_behind_s(self) -> float:
        """Return for how long a listener's counts have waited to come into the ledger."""
        intakes = [entry.get("intake") or {} for entry in self.listeners or ()]
        return max((float(intake.get("ledger_waiting_s", 0.0)) for intake in intakes), default=0.0)

    def last_error(self) -> str:
        """Return what the store said while it takes nothing, an error that a listener tells, or what cannot be read."""
        told = [self.store.sentence()] if self.store and self.store.phase != "closed" else []
        told += [str(entry["last_error"]) for entry in self.listeners or () if entry.get("last_error")]
        return next(iter([*told, *self.problems]), "")

    def written_per_s(self) -> float:
        """Return events written a second, over the last ten seconds."""
        return sum(float((entry.get("intake") or {}).get("written_per_s", 0.0)) for entry in self.listeners or ())


def _count(entry: dict[str, Any], name: str) -> int:
    counts = (entry.get("intake") or {}).get("counts") or {}
    return int(counts.get(name, 0))


def _journal_bytes(intake: dict[str, Any]) -> int:
    return int(intake.get("bytes_on_disk", intake.get("bytes", 0)))


class Observer:
    """Reads overviews; keeps its connections between readings."""

    def __init__(self, settings: Settings) -> None:
        self._depths = Depths(settings.broker_url)
        self._oldest = OldestWaiting(make_app(settings.broker_url), [kind.value for kind in TaskType])
        self._settings = settings
        self._opening = threading.Lock()
        self._database: sqlalchemy.Engine | None = None
        self._parts = SideBySide(
            {
                "board": bootstrap.open_status_board(settings).read,
                "queues": self._depths.load,
                "oldest": self._oldest.read,
                "quarantine": lambda: bootstrap.open_quarantine(settings, self._metadata()).reasons(),
                "causes": lambda: bootstrap.open_quarantine(settings, self._metadata()).causes(MOST_CAUSES),
                "store": bootstrap.open_breaker(bootstrap.open_state(settings)).read,
                "reconciled": lambda: bootstrap_quality.open_reconciled_hours(settings, self._metadata()).summaries(),
                "gaps": lambda: _by_state(bootstrap.open_gaps(settings, self._metadata()).list(unended_only=True)),
                "ledger": self._read_ledger,
                "weather": read_weather(settings),
                "reports": self._read_reports,
                "quality": lambda: bootstrap_quality.open_quality_book(settings, self._metadata()).heads(),
                "pauses": Pauses(bootstrap.open_state(settings)).read,
                "webhooks": lambda: bootstrap.open_webhook_desk(settings, self._metadata()).summaries(),
                "mqtt_out": lambda: bootstrap.open_topics_board(settings).read().get(OUT),
                "clocks": HomeClocks(bootstrap.open_state(settings)).ahead_s,
            },
            timeout_s=_TIMEOUT_S,
        )
        self._folder = settings.data_dir / "metrics"

    def read(self) -> Overview:
        """Return how all is; raises nothing and waits for nobody longer than 3 s."""
        answers = self._parts.ask()
        board: dict[str, dict[str, Any]] | None = answers["board"].value
        load: Load | None = answers["queues"].value
        return Overview(
            time_s=time.time(),
            listeners=None if board is None else [{"name": name, **entry} for name, entry in _of("listener", board)],
            workers=None if board is None else _by_type(entry for _, entry in _of("worker", board)),
            queues=None if load is None else load.depths,
            quarantine=None if answers["quarantine"].value is None else sum(answers["quarantine"].value.values()),
            quarantine_reasons=answers["quarantine"].value,
            gaps=answers["gaps"].value,
            reconciled=answers["reconciled"].value,
            ledger=answers["ledger"].value,
            lag=read_lag(self._folder),
            store=answers["store"].value,
            quarantine_causes=answers["causes"].value,
            weather=answers["weather"].value,
            clocks=answers["clocks"].value,
            reports=answers["reports"].value,
            quality=answers["quality"].value,
            oldest_s=answers["oldest"].value,
            pauses=answers["pauses"].value,
            broker_memory=load.memory_share if load is not None else None,
            processes=None if board is None else seen_in(board),
            disk_free=_disk_free(self._settings.data_dir),
            webhooks=answers["webhooks"].value,
            mqtt_out=answers["mqtt_out"].value,
            unread={part: answer.error is not None for part, answer in answers.items()},
            problems=_problems({part: answer.error for part, answer in answers.items()}),
        )

    def _metadata(self) -> sqlalchemy.Engine:
        """Open the metadata database once, for all parts: opening makes the tables that are missing."""
        with self._opening:
            if self._database is None:
                self._database = bootstrap.open_metadata(self._settings)
            return self._database

    def _read_ledger(self) -> LedgerSummary:
        since_s = hour_of(time.time_ns()) - LEDGER_SPAN_S
        return summed_up(bootstrap.open_ledger(self._settings, self._metadata()).rows(since_s=since_s))

    def _read_reports(self) -> ReportsSeen:
        database, homes = self._metadata(), [home.name for home in self._settings.all_homes()]
        shelf = bootstrap_quality.open_report_shelf(self._settings, database)
        book = bootstrap_quality.open_alert_book(self._settings, database)
        newest = [one for home in homes for kind in _KINDS for one in shelf.list(home=home, period=kind, limit=1)]
        deliveries = bootstrap_quality.open_outbox(self._settings, database).counts()
        return ReportsSeen(newest, {home: len(book.open(home)) for home in homes}, deliveries)

    def close(self) -> None:
        """Give connections back."""
        self._parts.close()
        self._depths.close()
        self._oldest.close()


def _of(kind: str, board: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(key.partition(":")[2], entry) for key, entry in board.items() if key.partition(":")[0] == kind]


def _disk_free(folder: Path) -> float | None:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return usage.free / usage.total if usage.total else None


def _problems(errors: Mapping[str, str | None]) -> list[str]:
    """Return what could not be read, in sentences; that the broker is away is said once."""
    told = {part: error for part, error in errors.items() if error}
    if "queues" in told:
        told.pop("oldest", None)
    return [f"{part}: {error}" for part, error in told.items()]


def _by_state(gaps: Iterable[GapRecord]) -> dict[str, int]:
    """Return how many gaps have not ended, by state."""
    found = Counter(gap.state.value for gap in gaps)
    return {state.value: found[state.value] for state in GapState if state not in ENDED}


def types_of(entry: dict[str, Any]) -> list[str]:
    """Return the task types that a worker node serves: its queues, else what its name says."""
    return [str(name) for name in entry.get("queues") or [entry.get("type", "?")]]


def _by_type(entries: Iterable[dict[str, Any]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for entry in entries:
        for kind in types_of(entry):
            total = found.setdefault(kind, {"nodes": 0, "processes": 0, "tasks": 0})
            total["nodes"] += 1
            total["processes"] += int(entry.get("processes", 1))
            total["tasks"] += int(entry.get("tasks", 0))
    return found
