"""Where reports rest, and what is still to be delivered: values and ports; stores and sends nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from ingestor.reports.counting import Counted
from ingestor.reports.document import Report

Kind = Literal["report", "alert"]


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A report as lists show it: its head, without the document."""

    id: str
    home: str
    period: str
    start_us: int
    end_us: int
    made_us: int
    figures: Mapping[str, float | None]


class DeliveryState(StrEnum):
    """How far a delivery is; the last two are ends."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One parcel on one road. `kind`: what the parcel is; it is tried next at `next_us`."""

    parcel: str
    road: str
    kind: Kind
    home: str
    state: DeliveryState
    tries: int
    asked_us: int
    next_us: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """A threshold that was crossed at `since_us`; `over_us` None: it still is. `value` is the newest."""

    home: str
    name: str
    since_us: int
    over_us: int | None
    subject: str
    value: float
    sentence: str


_Kept = list[KeptReport]  # within the class `list` is a method


class ReportShelf(Protocol):
    """Reports and the counts that one is being made of. Every call may raise StoreUnavailable."""

    def save(self, report: Report, roads: Sequence[str]) -> bool:
        """Keep a report, and that it is to go by these roads; False where it is there already: nothing is changed."""
        ...

    def find(self, report_id: str) -> Report:
        """Return a report. Raises NotFound."""
        ...

    def list(self, *, home: str | None = None, period: str | None = None, limit: int = 100) -> _Kept:
        """Return reports, that with the newest end first."""
        ...

    def trim(self, home: str, period: str, keep: int) -> int:
        """Let all but the newest go; return how many went."""
        ...

    def piece(self, home: str, start_us: int, end_us: int) -> Counted | None:
        """Return what was counted for a report that is being made."""
        ...

    def keep_piece(self, home: str, start_us: int, end_us: int, counted: Counted) -> None:
        """Keep what was counted."""
        ...

    def drop_pieces(self, home: str, end_us: int) -> None:
        """Forget what was counted up to a time."""
        ...


class AlertBook(Protocol):
    """Alerts, raised once each. Every call may raise StoreUnavailable."""

    def open(self, home: str) -> Sequence[Alert]:
        """Return the alerts that are not over."""
        ...

    def note(self, alert: Alert, roads: Sequence[str]) -> None:
        """Keep an alert that begins, goes on or is over; a change of that is to go by these roads, once."""
        ...

    def list(self, *, home: str | None = None, limit: int = 100) -> Sequence[Alert]:
        """Return alerts, the newest first."""
        ...

    def find(self, parcel: str) -> Alert:
        """Return the alert of a parcel. Raises NotFound."""
        ...


class Outbox(Protocol):
    """What is to be delivered. Every call may raise StoreUnavailable."""

    def due(self, now_us: int, limit: int = 50) -> Sequence[Delivery]:
        """Return what is to be tried now."""
        ...

    def set(self, delivery: Delivery) -> None:
        """Keep how a delivery is now."""
        ...

    def of(self, parcel: str) -> Sequence[Delivery]:
        """Return the deliveries of a parcel."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Return how many deliveries wait, and how many are undelivered."""
        ...


def alert_parcel(alert: Alert) -> str:
    """Return what a message on an alert is called: one when it begins, another when it is over."""
    return f"{alert.home}-{alert.name}-{alert.since_us}-{'raised' if alert.over_us is None else 'over'}"
