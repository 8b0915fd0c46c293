"""Port of what was observed of homes: edges between entities, and patterns of activity; holds no more than it says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from ingestor.events.observed import HOURS, MONTHS, WEEKDAYS, Activity, EntityPattern, ObservedEdge, ObservedPage

#: Most edges of a kind, and most patterns, of a home; those that were seen last stay.
MAX_EDGES: Final = 20_000
MAX_PATTERNS: Final = 20_000
#: What is usual is the mean of about this time.
MEMORY_S: Final = 7 * 86_400
_QUARTER_S: Final = 900


class ObservedEdges(Protocol):
    """Who was seen to act on whom."""

    def load(self, home: str) -> list[ObservedEdge]:
        """Return all edges of a home, the commonest first. Raises StoreUnavailable."""
        ...


class Observed(ObservedEdges, Protocol):
    """Everything that was observed."""

    def add(self, pages: Sequence[ObservedPage]) -> None:
        """Add pages, each once, by its worker and number. Raises StoreUnavailable."""
        ...

    def pattern(self, home: str, entity_id: str) -> EntityPattern | None:
        """Return the pattern of an entity, None if it was never seen. Raises StoreUnavailable."""
        ...

    def patterns(self, home: str) -> list[EntityPattern]:
        """Return the patterns of all entities of a home, in no order. Raises StoreUnavailable."""
        ...

    def trim(self) -> None:
        """Let go what is more than is kept of a home. Raises StoreUnavailable."""
        ...


class Learned(msgspec.Struct):
    """What is kept of an entity's activity: the counts, and a sum and its time in which the past fades."""

    hours: list[int] = msgspec.field(default_factory=lambda: [0] * HOURS)
    weekdays: list[int] = msgspec.field(default_factory=lambda: [0] * WEEKDAYS)
    months: list[int] = msgspec.field(default_factory=lambda: [0] * MONTHS)
    events: int = 0
    first_us: int = 0
    last_us: int = 0
    fading_events: float = 0.0
    fading_s: float = 0.0
    #: Until when the fading sum has been reckoned.
    until_us: int = 0

    def learn(self, activity: Activity, events: int) -> None:
        """Add a quarter of an hour with so many events. Late ones count, too; they do not turn the clock back."""
        self.hours[activity.hour % HOURS] += events
        self.weekdays[(activity.weekday - 1) % WEEKDAYS] += events
        self.months[(activity.month - 1) % MONTHS] += events
        self.events += events
        until_us = activity.from_us + _QUARTER_S * 1_000_000
        self.first_us = min(self.first_us or activity.from_us, activity.from_us)
        self.last_us = max(self.last_us, activity.from_us)
        passed_s = max(0.0, (until_us - self.until_us) / 1e6) if self.until_us else float(_QUARTER_S)
        fade = math.exp(-passed_s / MEMORY_S)
        self.fading_events = self.fading_events * fade + events
        self.fading_s = self.fading_s * fade + MEMORY_S * (1 - fade)
        self.until_us = max(self.until_us, until_us)

    def pattern(self, entity_id: str) -> EntityPattern:
        """Return it as it is shown."""
        per_hour = self.fading_events / self.fading_s * 3600 if self.fading_s else 0.0
        return EntityPattern(
            entity_id,
            self.hours,
            self.weekdays,
            self.months,
            self.events,
            self.first_us,
            self.last_us,
            round(per_hour, 3),
        )


def summed(known: ObservedEdge | None, more: ObservedEdge) -> ObservedEdge:
    """Return an edge after it was seen again."""
    if known is None:
        return more
    first_us, last_us = min(known.first_us, more.first_us), max(known.last_us, more.last_us)
    return ObservedEdge(more.kind, more.source, more.target, known.count + more.count, first_us, last_us)


_learned: Final = msgspec.json.Decoder(Learned)


def packed(learned: Learned) -> str:
    """Return it as text, for a database."""
    return msgspec.json.encode(learned).decode()


def unpacked(text: Any) -> Learned:
    """Return it from text; what is not readable begins anew."""
    try:
        return _learned.decode(text)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return Learned()
