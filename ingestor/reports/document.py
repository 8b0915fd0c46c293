"""What a quality report says: plain values that every form of it is made from; gathers and draws nothing.

Times are Unix microseconds. A number that is not known is None, and the sentence beside it says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

#: Changes when a field is taken away or means something else; a new field leaves it as it is.
VERSION: Final = 1
SCHEMA: Final = "ha-ingestor/quality-report"
#: Why a report was made: by schedule, or because somebody asked for one.
Period = Literal["daily", "weekly", "asked"]
Grade = Literal["good", "fair", "poor", "unknown"]
_GOOD: Final = 90.0
_FAIR: Final = 70.0


def grade_of(score: float | None) -> Grade:
    """Return in a word how good a score is."""
    if score is None:
        return "unknown"
    return "good" if score >= _GOOD else "fair" if score >= _FAIR else "poor"


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """What became of the events that one source told. `read_back` of the lost came later from history."""

    source: str
    received: int
    written: int
    duplicate: int
    rejected: int
    filtered: int
    in_flight: int
    lost: int
    read_back: int
    balances: bool


@dataclass(frozen=True, slots=True)
class Balance:
    """The ledger of the span: a row for each source, and their sum. `explanation` says whether it holds."""

    rows: tuple[BalanceRow, ...]
    total: BalanceRow
    holds: bool | None
    explanation: str


@dataclass(frozen=True, slots=True)
class Target:
    """A share that is aimed at: `value` and `wanted` from 0 to 1."""

    name: str
    title: str
    value: float | None
    wanted: float
    explanation: str

    @property
    def met(self) -> bool | None:
        """Tell whether it is reached; None where nobody can say."""
        return None if self.value is None else self.value >= self.wanted


@dataclass(frozen=True, slots=True)
class PartShown:
    """One side of a score."""

    dimension: str
    score: float | None
    explanation: str


@dataclass(frozen=True, slots=True)
class DayScore:
    """The score of a day, by the day's beginning."""

    day_us: int
    score: float | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A subject with its score, what it is made of, and how it went by day."""

    scope: str
    subject: str
    name: str
    score: float | None
    parts: tuple[PartShown, ...]
    trend: tuple[DayScore, ...] = ()


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """A local day: for each of its 24 clock hours the share that was missed (0 to 1), None outside the span."""

    day: str
    missed: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class GapShown:
    """A time in which a listener could not hear its home. `end_us` 0: it lasts."""

    start_us: int
    end_us: int
    listener: str
    reason: str
    state: str
    why: str
    lost: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem in a report. `fresh`: the report before did not have it. `score` is its subject's."""

    kind: str
    scope: str
    subject: str
    name: str
    since_us: int
    until_us: int | None
    count: int
    evidence: str
    advice: str
    fresh: bool
    score: float | None

    @property
    def key(self) -> str:
        """Return what tells it from every other of its home at one time."""
        return f"{self.kind}:{self.scope}:{self.subject}"


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How often a rule did something, and why it is there."""

    rule: str
    count: int
    why: str


@dataclass(frozen=True, slots=True)
class Advice:
    """Something to do. `gain`: points that the home's score could win at most; None where it has no such measure."""

    text: str
    gain: float | None
    subjects: tuple[str, ...]
    concerned: int


@dataclass(frozen=True, slots=True)
class Report:
    """One report on one home. `unknowns` are sentences on what could not be told."""

    id: str
    home: str
    period: Period
    start_us: int
    end_us: int
    made_us: int
    time_zone: str
    score: float | None
    summary: tuple[str, ...]
    parts: tuple[PartShown, ...]
    balance: Balance
    targets: tuple[Target, ...]
    trend: tuple[DayScore, ...]
    worst: tuple[Judged, ...]
    groups: tuple[Judged, ...]
    calendar: tuple[CalendarDay, ...]
    gaps: tuple[GapShown, ...]
    troubles: tuple[Trouble, ...]
    compared_with: str
    repairs: tuple[RuleCount, ...]
    rejections: tuple[RuleCount, ...]
    advice: tuple[Advice, ...]
    unknowns: tuple[str, ...] = ()
    entities: int = 0
    schema: str = SCHEMA
    version: int = VERSION

    @property
    def fresh(self) -> tuple[Trouble, ...]:
        """Return the problems that the report before did not have."""
        return tuple(trouble for trouble in self.troubles if trouble.fresh)

    def target(self, name: str) -> Target | None:
        """Return a target by its name."""
        return next((one for one in self.targets if one.name == name), None)
