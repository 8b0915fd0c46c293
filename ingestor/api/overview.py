"""How the installation is at one moment: what `status`, `/api/health` and `/metrics` tell. Changes nothing."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ingestor import bootstrap
from ingestor.api.lag import Lag, read_lag
from ingestor.api.side_by_side import SideBySide
from ingestor.api.weather import read_weather
from ingestor.events.counts import hour_of
from ingestor.queue.depths import Depths
from ingestor.settings import Settings
from ingestor.storage.breaker import BreakerState
from ingestor.storage.gaps import ENDED, GapRecord, GapState
from ingestor.storage.ledger import LedgerSummary, summed_up
from ingestor.storage.quarantine import Cause
from ingestor.storage.reconciled import Reconciliation
from ingestor.weather.desk import WeatherStatus

if TYPE_CHECKING:
    import sqlalchemy

_COUNTS: Final = ("written", "duplicate", "rejected", "filtered", "lost")
_TIMEOUT_S: Final = 3.0
#: How far back an overview looks in the ledger: this hour, and a day before.
LEDGER_SPAN_S: Final = 86_400
#: The causes in quarantine with most pieces: so many are told.
MOST_CAUSES: Final = 20


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
        self._settings = settings
        self._opening = threading.Lock()
        self._database: sqlalchemy.Engine | None = None
        self._parts = SideBySide(
            {
                "board": bootstrap.open_status_board(settings).read,
                "queues": self._depths.read,
                "quarantine": lambda: bootstrap.open_quarantine(settings, self._metadata()).reasons(),
                "causes": lambda: bootstrap.open_quarantine(settings, self._metadata()).causes(MOST_CAUSES),
                "store": bootstrap.open_breaker(bootstrap.open_state(settings)).read,
                "reconciled": lambda: bootstrap.open_reconciled_hours(settings, self._metadata()).summaries(),
                "gaps": lambda: _by_state(bootstrap.open_gaps(settings, self._metadata()).list(unended_only=True)),
                "ledger": self._read_ledger,
                "weather": read_weather(settings),
            },
            timeout_s=_TIMEOUT_S,
        )
        self._folder = settings.data_dir / "metrics"

    def read(self) -> Overview:
        """Return how all is; raises nothing and waits for nobody longer than 3 s."""
        answers = self._parts.ask()
        board: dict[str, dict[str, Any]] | None = answers["board"].value
        return Overview(
            time_s=time.time(),
            listeners=None if board is None else [{"name": name, **entry} for name, entry in _of("listener", board)],
            workers=None if board is None else _by_type(entry for _, entry in _of("worker", board)),
            queues=answers["queues"].value,
            quarantine=None if answers["quarantine"].value is None else sum(answers["quarantine"].value.values()),
            quarantine_reasons=answers["quarantine"].value,
            gaps=answers["gaps"].value,
            reconciled=answers["reconciled"].value,
            ledger=answers["ledger"].value,
            lag=read_lag(self._folder),
            store=answers["store"].value,
            quarantine_causes=answers["causes"].value,
            weather=answers["weather"].value,
            problems=[f"{part}: {answer.error}" for part, answer in answers.items() if answer.error],
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

    def close(self) -> None:
        """Give connections back."""
        self._parts.close()
        self._depths.close()


def _of(kind: str, board: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(key.partition(":")[2], entry) for key, entry in board.items() if key.partition(":")[0] == kind]


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
