"""What quality over time is told in: scores with their parts, and problems; knows nothing of how they are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Scope(StrEnum):
    """What can be judged."""

    ENTITY = "entity"
    DEVICE = "device"
    INTEGRATION = "integration"
    AREA = "area"
    HOME = "home"


class Dimension(StrEnum):
    """A side of quality, each scored by itself."""

    COMPLETENESS = "completeness"
    VALIDITY = "validity"
    UNIQUENESS = "uniqueness"
    TIMELINESS = "timeliness"
    CONSISTENCY = "consistency"
    ACCURACY = "accuracy"
    AVAILABILITY = "availability"
    LIVENESS = "liveness"


@dataclass(frozen=True, slots=True)
class Part:
    """One dimension of a score: 0 (worst) to 100, or None where nothing can be said, with the sentence that says why.

    `measures` are the figures behind it, by name with their unit in it (`unavailable_s`, `lag_p95_ms`).
    """

    dimension: Dimension
    score: float | None
    weight: float
    explanation: str
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Score:
    """How good the data of a subject is, 0 to 100; None where no part could be judged."""

    scope: Scope
    subject: str
    name: str
    parts: tuple[Part, ...]

    @property
    def score(self) -> float | None:
        """Return the weighted mean of the parts that could be judged."""
        judged = [(part.score, part.weight) for part in self.parts if part.score is not None]
        weight = sum(weight for _, weight in judged)
        return sum(score * weight for score, weight in judged) / weight if weight else None


class ProblemKind(StrEnum):
    """What can be wrong with what a home tells."""

    FROZEN = "frozen"  # says nothing new while its own past or its siblings say that it should
    DEAD = "dead"  # says nothing at all for longer than its cadence allows
    HUB_DEAD = "hub_dead"  # everything behind a device or an integration went silent together
    FLAPPING = "flapping"  # comes and goes, or switches to and fro, far more often than it used to
    UNAVAILABLE = "unavailable"
    COUNTER_RESET = "counter_reset"
    UNIT_CHANGED = "unit_changed"
    TYPE_CHANGED = "type_changed"
    SCHEMA_DRIFT = "schema_drift"
    CLOCK_OFF = "clock_off"
    DUPLICATE_SOURCE = "duplicate_source"
    RUBBISH = "rubbish"  # what does not pass the rules at the door
    OUT_OF_BOUNDS = "out_of_bounds"
    SPIKES = "spikes"
    DISAGREES = "disagrees"  # with sibling sensors of the same room
    GAP = "gap"
    LATE = "late"
    VOLUME = "volume"  # far more or fewer events than usual
    DISTRIBUTION = "distribution"  # values unlike those of before


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a subject, from `since_us` on (Unix µs); `until_us` None: it still is."""

    kind: ProblemKind
    scope: Scope
    subject: str
    since_us: int
    until_us: int | None
    count: int
    evidence: str
    advice: str

    @property
    def key(self) -> str:
        """Return what tells this problem from every other of its home at one time."""
        return f"{self.kind}:{self.scope}:{self.subject}"


class QualityBook(Protocol):
    """What was found of the homes, kept with the metadata. Each method raises StoreUnavailable (metadata)."""

    def scores(self, home: str, start_us: int, end_us: int) -> list[Score]:
        """Return the scores of everything in a span of whole hours."""
        ...

    def trend(
        self, home: str, start_us: int, end_us: int, scope: Scope, subject: str
    ) -> list[tuple[int, float | None]]:
        """Return the score of a subject by day: (beginning of the day in Unix µs, score)."""
        ...

    def problems(self, home: str, start_us: int, end_us: int) -> list[Problem]:
        """Return the problems that were there at any time of a span, worst first."""
        ...

    def homes(self) -> dict[str, int]:
        """Return up to when (Unix µs) each home is judged; one that was never judged is not there."""
        ...
