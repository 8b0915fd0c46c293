"""A report's head in numbers: for lists, for Prometheus and as a point; reckons nothing anew."""

from __future__ import annotations

from typing import Final

from ingestor.events.point import FieldValue, Point
from ingestor.reports.document import Report

#: The measurement that scores of every scope are written to as well.
MEASUREMENT: Final = "ha_quality"
#: What a report's point says, each a number for ever, and what it means.
FIELDS: Final[dict[str, str]] = {
    "score": "score of the home, 0 to 100",
    "context_share": "share of stored states with their full context, 0 to 1",
    "valid_share": "share of events that passed the rules at the door, 0 to 1",
    "up_share": "share of the time in which every listener heard its home, 0 to 1",
    "received": "events received",
    "lost": "events lost and not read back",
    "problems": "problems found",
    "new_problems": "of these, not in the report before",
}


def figures_of(report: Report) -> dict[str, float | None]:
    """Return the head of a report; None where something is not known."""
    shares = {f"{one.name}_share": one.value for one in report.targets}
    total = report.balance.total
    known = report.balance.holds is not None
    return {
        "score": report.score,
        **{name: shares.get(name) for name in ("context_share", "valid_share", "up_share")},
        "received": float(total.received) if known else None,
        "lost": float(max(0, total.lost - total.read_back)) if known else None,
        "problems": float(len(report.troubles)),
        "new_problems": float(len(report.fresh)),
    }


def point_of(report: Report) -> Point:
    """Return the report's head as a point, at the end of its span: the same report is the same point."""
    tags = (("home", report.home), ("scope", "report"), ("subject", report.period))
    fields: dict[str, FieldValue] = {
        name: float(value) for name, value in figures_of(report).items() if value is not None
    }
    return Point(MEASUREMENT, tags, fields, report.end_us * 1000)
