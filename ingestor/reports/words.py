"""A report's sentences and how its numbers are written, the same in every form; knows no form."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Final

from ingestor.quality.model import ProblemKind
from ingestor.reports.document import Balance, Report, Target, Trouble
from ingestor.wording import number_of

UNKNOWN: Final = "not known"
KINDS: Final[dict[str, str]] = {
    ProblemKind.FROZEN: "frozen",
    ProblemKind.DEAD: "dead",
    ProblemKind.HUB_DEAD: "dead hub",
    ProblemKind.FLAPPING: "flapping",
    ProblemKind.UNAVAILABLE: "unavailable",
    ProblemKind.COUNTER_RESET: "counter reset",
    ProblemKind.UNIT_CHANGED: "unit changed",
    ProblemKind.TYPE_CHANGED: "type changed",
    ProblemKind.SCHEMA_DRIFT: "other attributes",
    ProblemKind.CLOCK_OFF: "clock off",
    ProblemKind.DUPLICATE_SOURCE: "told twice",
    ProblemKind.RUBBISH: "rubbish",
    ProblemKind.OUT_OF_BOUNDS: "out of bounds",
    ProblemKind.SPIKES: "spikes",
    ProblemKind.DISAGREES: "disagrees",
    ProblemKind.GAP: "gap",
    ProblemKind.LATE: "late",
    ProblemKind.VOLUME: "unusual volume",
    ProblemKind.DISTRIBUTION: "unusual values",
}


def summary_of(
    score: float | None, balance: Balance, targets: Sequence[Target], troubles: Sequence[Trouble], entities: int
) -> tuple[str, ...]:
    """Return the report in a few sentences."""
    told = [balance.explanation]
    judged = f" over {number_of(entities, 'entity')}" if entities else ""
    told.append(
        f"The home's score is {number(score)} of 100{judged}." if score is not None else "The home has no score."
    )
    missed = [one.title.lower() for one in targets if one.met is False]
    unknown = [one.title.lower() for one in targets if one.met is None]
    if missed:
        told.append(f"Below target: {', '.join(missed)}.")
    if unknown:
        told.append(f"Not known: {', '.join(unknown)}.")
    if not missed and not unknown:
        told.append("All targets are met.")
    fresh = sum(one.fresh for one in troubles)
    told.append(f"{number_of(len(troubles), 'problem')}, {fresh} of them new." if troubles else "No problems found.")
    return tuple(told)


def kind_text(kind: str) -> str:
    """Return what a kind of problem is called."""
    return KINDS.get(kind, kind.replace("_", " "))


def share(value: float | None) -> str:
    """Return a share as per cent: never rounded up to a whole that it is not."""
    if value is None:
        return UNKNOWN
    if value >= 1.0:
        return "100%"
    cut = int(value * 100_000) / 1000
    return f"{cut:.3f}".rstrip("0").rstrip(".") + "%"


def number(value: float | None) -> str:
    """Return a score or a count."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}".removesuffix(".0")


def moment(time_us: int | None, zone: tzinfo) -> str:
    """Return a time to the minute."""
    if not time_us:
        return "now"
    return f"{datetime.fromtimestamp(time_us / 1e6, zone):%Y-%m-%d %H:%M}"


def span(since_us: int, until_us: int | None, zone: tzinfo) -> str:
    """Return from when to when, a day once where it is one; day and time stay together on a line."""
    since = moment(since_us, zone)
    if not until_us:
        return _together(f"since {since}")
    until = moment(until_us, zone).removeprefix(since[: len("2026-01-01 ")])
    return f"{_together(since)}\xa0\u2013 {_together(until)}"


def _together(text: str) -> str:
    return text.replace(" ", "\xa0")


def title_of(report: Report) -> str:
    """Return what a report is called."""
    kind = {"daily": "Daily report", "weekly": "Weekly report"}.get(report.period, "Report")
    return f"{kind} on the data quality of {report.home}"
