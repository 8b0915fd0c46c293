"""What reconciliation found, hour by hour: the value that is kept and the port to where; compares nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol


class HourState(StrEnum):
    """How far an hour is. The last three are ends."""

    WAITING = "waiting"
    COMPARING = "comparing"
    REPAIRING = "repairing"
    COMPLETE = "complete"
    MISSING = "missing"
    UNCOMPARABLE = "cannot be compared"


#: An hour in one of these is looked at no more, unless somebody asks for it.
ENDED: Final = frozenset({HourState.COMPLETE, HourState.MISSING, HourState.UNCOMPARABLE})


@dataclass(frozen=True, slots=True)
class ReconciledHour:
    """One hour (UTC) of a home. Times are Unix microseconds.

    `expected` points are in the store by the ledger, `stored` are there; None where nobody could say. `compared` is
    the number of changes in Home Assistant's history that were looked up in the store. `missing` of all these are not
    there now, `repaired` were not and are there now; `entities` tells of which entities changes were missing.
    """

    home: str
    hour_us: int
    state: HourState = HourState.WAITING
    expected: int | None = None
    stored: int | None = None
    compared: int | None = None
    missing: int = 0
    surplus: int = 0
    repaired: int = 0
    entities: Mapping[str, int] = field(default_factory=dict)
    why: str = ""
    gap_id: str = ""
    attempts: int = 0
    progress: Mapping[str, Any] = field(default_factory=dict)
    checked_us: int = 0

    @property
    def ended(self) -> bool:
        """Tell whether it is looked at no more."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All hours of a home in one line. All before `until_us` are compared; `missing` and `repaired` are points."""

    home: str
    first_us: int
    until_us: int
    hours: int
    waiting: int
    missing: int
    repaired: int


_Summaries = list[Reconciliation]  # within the class `list` is a method


class ReconciledHours(Protocol):
    """Where the hours are kept. Every call may raise StoreUnavailable."""

    def save(self, hour: ReconciledHour) -> None:
        """Keep an hour in place of what was kept of it."""
        ...

    def list(
        self, *, home: str | None = None, since_us: int = 0, unended_only: bool = False, limit: int = 1000
    ) -> list[ReconciledHour]:
        """Return hours from `since_us` on, newest first."""
        ...

    def summaries(self) -> _Summaries:
        """Return every home that has hours, by name."""
        ...
