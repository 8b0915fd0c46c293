"""What the map of a home says of its entities, as far as judging needs it; looks nothing up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Subject:
    """What the home's map says of an entity (a series); "" is unknown.

    `via` is the hub that its device is reached through. `state_class`: "total" and "total_increasing" are counters.
    """

    series: str
    entity_id: str = ""
    name: str = ""
    domain: str = ""
    device_class: str = ""
    state_class: str = ""
    unit: str = ""
    area: str = ""
    device: str = ""
    integration: str = ""
    via: str = ""


@dataclass(frozen=True, slots=True)
class JudgeContext:
    """What must be known of a home beside its hours. Spans are (start, end) in Unix µs.

    `gaps`: when the home was not heard at all, by no fault of its entities. `ahead_s`: by how much the home's clock is
    ahead of ours now; None where nobody knows. `gone`: series that Home Assistant does not have any more.
    """

    subjects: Mapping[str, Subject] = field(default_factory=dict)
    gaps: Sequence[tuple[int, int]] = ()
    ahead_s: float | None = None
    gone: frozenset[str] = frozenset()

    def subject(self, series: str) -> Subject:
        """Return what is known of a series."""
        return self.subjects.get(series) or Subject(series, series, series, series.partition(".")[0])

    def deaf_us(self, start_us: int, end_us: int) -> int:
        """Return for how long of a time the home was not heard."""
        return sum(max(0, min(end, end_us) - max(start, start_us)) for start, end in self.gaps)
