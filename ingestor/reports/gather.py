"""Gathers a report from what is known of a home; what cannot be read is said in the report, never invented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ingestor.events.counts import hour_of
from ingestor.quality.model import Problem, QualityBook, Scope, Score
from ingestor.reports.advice import advice_on
from ingestor.reports.balance import balance_of, context_target, up_target, valid_target
from ingestor.reports.counting import Counted, by_rule
from ingestor.reports.document import (
    Balance,
    DayScore,
    Judged,
    PartShown,
    Period,
    Report,
    RuleCount,
    Target,
    Trouble,
)
from ingestor.reports.gaps_shown import calendar, gaps_shown, listening_gaps, spans_within
from ingestor.reports.words import moment, summary_of
from ingestor.storage.gaps import GapRecord, Gaps
from ingestor.storage.ledger import Ledger, LedgerRow
from ingestor.storage.quarantine import Cause

_DAY_US: Final = 86_400_000_000
_TREND_DAYS: Final = 30
_WORST: Final = 10
#: An entity that lacks less is none of the worst.
_FINE: Final = 98.0
_MOST_TROUBLES: Final = 200
_MOST_CAUSES: Final = 200
#: So long after its end an hour may well not be judged yet (its last events are waited for).
_USUAL_US: Final = 2 * 3_600_000_000


@dataclass(frozen=True, slots=True)
class Targets:
    """The shares that are aimed at, from 0 to 1."""

    context: float = 0.95
    valid: float = 0.99
    up: float = 0.999


@dataclass(frozen=True, slots=True)
class Asked:
    """Which report is wanted. `before`: the problems that the last one had, None where there was none."""

    home: str
    period: Period
    start_us: int
    end_us: int
    made_us: int
    time_zone: str = ""
    targets: Targets = field(default_factory=Targets)
    before: frozenset[str] | None = None
    before_id: str = ""

    @property
    def id(self) -> str:
        """Return the report's id: the same report, made again, has the same."""
        day = datetime.fromtimestamp(self.end_us / 1e6, UTC)
        return f"{self.home}-{self.period}-{day:%Y%m%dT%H%M}"


class Causes(Protocol):
    """What a report wants of the quarantine."""

    def causes(self, limit: int = 100) -> Sequence[Cause]:
        """Return the causes, that with most pieces first."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a report reads. `rules` says of each rule why it is there."""

    book: QualityBook
    ledger: Ledger
    gaps: Gaps
    quarantine: Causes
    rules: Mapping[str, str] = field(default_factory=dict)


def gather(asked: Asked, sources: Sources, counted: Counted | None) -> Report:
    """Return the report. `counted`: what the store counted, None where it could not. Raises StoreUnavailable."""
    home, start_us, end_us = asked.home, asked.start_us, asked.end_us
    rows = _ledger_rows(sources.ledger, asked)
    records = listening_gaps(sources.gaps.list(home=home, since_us=start_us, limit=10_000))
    scores = sources.book.scores(home, start_us, end_us)
    troubles = _troubles(asked, sources.book.problems(home, start_us, end_us), scores)
    balance = balance_of(rows, cut=_cuts_hours(asked))
    targets = _targets(asked, counted, balance, records, _first_us(sources.ledger, home))
    whole = next((one for one in scores if one.scope is Scope.HOME), None)
    entities = [one for one in scores if one.scope is Scope.ENTITY]
    spans = spans_within(records, start_us, end_us)
    fresh = sum(one.fresh for one in troubles)
    return Report(
        id=asked.id,
        home=home,
        period=asked.period,
        start_us=start_us,
        end_us=end_us,
        made_us=asked.made_us,
        time_zone=zone_of(asked.time_zone).key,
        score=_rounded(whole.score) if whole else None,
        summary=summary_of(whole.score if whole else None, balance, targets, troubles, len(entities)),
        parts=_parts(whole) if whole else (),
        balance=balance,
        targets=targets,
        trend=_trend(sources.book, asked, Scope.HOME, whole.subject if whole else home),
        worst=_worst(sources.book, asked, entities),
        groups=_ranked([one for one in scores if one.scope in (Scope.AREA, Scope.INTEGRATION)]),
        calendar=calendar(spans, start_us, end_us, zone_of(asked.time_zone)),
        gaps=gaps_shown(records, start_us, end_us),
        troubles=tuple(troubles[:_MOST_TROUBLES]),
        compared_with=_compared(asked, fresh),
        repairs=_repairs(counted, sources.rules),
        rejections=_rejections(sources.quarantine, asked),
        advice=advice_on(troubles, targets, balance, len(entities)),
        unknowns=_unknowns(asked, whole, counted, len(troubles), sources.book.homes().get(home)),
        entities=len(entities),
    )


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by name, UTC where there is none of that name."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _ledger_rows(ledger: Ledger, asked: Asked) -> list[LedgerRow]:
    since_s, until_s = hour_of(asked.start_us * 1000), -(-asked.end_us // 1_000_000)
    return ledger.rows(home=asked.home, since_s=since_s, until_s=until_s)


def _cuts_hours(asked: Asked) -> bool:
    return any(edge % 3_600_000_000 for edge in (asked.start_us, asked.end_us))


def _first_us(ledger: Ledger, home: str) -> int | None:
    rows = ledger.rows(home=home)
    return rows[0].hour_s * 1_000_000 if rows else None


def _targets(
    asked: Asked, counted: Counted | None, balance: Balance, gaps: Sequence[GapRecord], first_us: int | None
) -> tuple[Target, ...]:
    spans = spans_within(gaps, asked.start_us, asked.end_us)
    return (
        context_target(counted.contexts if counted else None, asked.targets.context),
        valid_target(balance.total, asked.targets.valid),
        up_target(spans, asked.start_us, asked.end_us, first_us, asked.targets.up),
    )


def _troubles(asked: Asked, problems: Sequence[Problem], scores: Sequence[Score]) -> list[Trouble]:
    known = {(one.scope, one.subject): one for one in scores}
    found = []
    for problem in problems:
        score = known.get((problem.scope, problem.subject))
        found.append(
            Trouble(
                kind=problem.kind.value,
                scope=problem.scope.value,
                subject=problem.subject,
                name=score.name if score else problem.subject,
                since_us=problem.since_us,
                until_us=problem.until_us,
                count=problem.count,
                evidence=_plain(problem.evidence),
                advice=_plain(problem.advice),
                fresh=asked.before is None or problem.key not in asked.before,
                score=_rounded(score.score) if score else None,
            )
        )
    return found


def _plain(text: str) -> str:
    """Return a sentence without the marks that only a terminal's reader is used to."""
    return text.replace("`", "")


def _worst(book: QualityBook, asked: Asked, entities: Sequence[Score]) -> tuple[Judged, ...]:
    """Return the worst entities that lack more than a little, each with its trend."""
    wanting = [one for one in _ranked(entities)[:_WORST] if one.score is not None and one.score < _FINE]
    return tuple(
        Judged(
            one.scope,
            one.subject,
            one.name,
            one.score,
            one.parts,
            _trend(book, asked, Scope.ENTITY, one.subject),
        )
        for one in wanting
    )


def _ranked(scores: Sequence[Score]) -> tuple[Judged, ...]:
    judged = [
        Judged(one.scope.value, one.subject, one.name or one.subject, _rounded(one.score), _parts(one))
        for one in scores
        if one.score is not None
    ]
    return tuple(sorted(judged, key=lambda one: (one.score or 0.0, one.subject)))


def _parts(score: Score) -> tuple[PartShown, ...]:
    return tuple(PartShown(part.dimension.value, _rounded(part.score), part.explanation) for part in score.parts)


def _trend(book: QualityBook, asked: Asked, scope: Scope, subject: str) -> tuple[DayScore, ...]:
    """Return the days of the span, or the last 30, whichever is longer."""
    begin_us = min(asked.start_us, asked.end_us - _TREND_DAYS * _DAY_US)
    days = book.trend(asked.home, begin_us, asked.end_us, scope, subject)
    return tuple(DayScore(day_us, _rounded(score)) for day_us, score in days)


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 1)


def _compared(asked: Asked, fresh: int) -> str:
    if asked.before is None:
        return "There is no earlier report to compare with: every problem counts as new."
    words = "Nothing is new" if not fresh else f"{fresh} new"
    return f"{words} since the report {asked.before_id}."


def _repairs(counted: Counted | None, why: Mapping[str, str]) -> tuple[RuleCount, ...]:
    found = by_rule(counted.repairs) if counted else {}
    return tuple(
        RuleCount(rule, count, why.get(rule, "a rule that is not there any more")) for rule, count in found.items()
    )


def _rejections(quarantine: Causes, asked: Asked) -> tuple[RuleCount, ...]:
    """Return what lies in quarantine and was seen in the span: by reason, with an example."""
    found: dict[str, tuple[int, str]] = {}
    for cause in quarantine.causes(_MOST_CAUSES):
        if (
            cause.home == asked.home
            and cause.last_seen_ns >= asked.start_us * 1000
            and cause.first_seen_ns < asked.end_us * 1000
        ):
            pieces, example = found.get(cause.reason, (0, cause.example))
            found[cause.reason] = (pieces + cause.pieces, example)
    ordered = sorted(found.items(), key=lambda item: -item[1][0])
    return tuple(RuleCount(reason, pieces, example) for reason, (pieces, example) in ordered)


def _unknowns(
    asked: Asked, whole: Score | None, counted: Counted | None, troubles: int, judged_us: int | None
) -> tuple[str, ...]:
    found = []
    if whole is None:
        found.append("There are no scores of this time: its hours have not been judged (the task `quality` does that).")
    elif whole.score is None:
        found.append("The home has no score: no side of its quality could be judged.")
    if whole is not None and judged_us is not None and judged_us < asked.end_us - _USUAL_US:
        until = moment(judged_us, zone_of(asked.time_zone))
        found.append(f"What was after {until} is not judged yet: scores and problems are of the time before.")
    if counted is None:
        found.append("The store did not answer: what was captured with context and what was repaired is not known.")
    if troubles > _MOST_TROUBLES:
        found.append(f"{troubles - _MOST_TROUBLES:,} further problems are not listed.")
    if asked.time_zone and zone_of(asked.time_zone).key != asked.time_zone:
        found.append(f"The time zone {asked.time_zone!r} is not known here: times are UTC.")
    return tuple(found)
