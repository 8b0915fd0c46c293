"""What was found of homes, within one process: the twin of the one in the database, for tests of what reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingestor.quality.model import Problem, Scope, Score

Days = list[tuple[int, float | None]]


@dataclass
class MemoryQualityBook:
    """Scores, trends and problems as a test puts them here; the same for every home."""

    found: list[Score] = field(default_factory=list)
    days: dict[str, Days] = field(default_factory=dict)
    known: list[Problem] = field(default_factory=list)
    judged: dict[str, int] = field(default_factory=dict)

    def scores(self, home: str, start_us: int, end_us: int) -> list[Score]:
        """Return all scores."""
        return list(self.found)

    def trend(self, home: str, start_us: int, end_us: int, scope: Scope, subject: str) -> Days:
        """Return the days of a subject within the span."""
        return [day for day in self.days.get(subject, []) if start_us <= day[0] < end_us]

    def homes(self) -> dict[str, int]:
        """Return up to when each home is judged."""
        return dict(self.judged)

    def problems(self, home: str, start_us: int, end_us: int) -> list[Problem]:
        """Return the problems that touch the span."""
        return [one for one in self.known if one.since_us < end_us and (one.until_us or end_us) >= start_us]
