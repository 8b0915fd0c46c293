"""Looks at entities beside each other: two that say the same, one that says other than its room, clocks; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Final

from ingestor.quality.hours import HOUR_US, HourFacts
from ingestor.quality.judging_events import off_ms
from ingestor.quality.judging_memory import Memory, usual
from ingestor.quality.model import ProblemKind, Scope
from ingestor.quality.subjects import JudgeContext
from ingestor.quality.watching import Watches

#: What two sensors of a room must differ by, more than they usually do, before one is wrong.
_APART: Final[Mapping[str, float]] = {"temperature": 5.0, "humidity": 20.0, "atmospheric_pressure": 8.0}
_SIGMAS: Final = 8.0
_KNOWN_HOURS: Final = 72
_KEPT_HOURS: Final = 168
#: Fewer values in an hour may be alike by chance.
_LEAST_VALUES: Final = 2
#: By two roads a state comes about at once.
_TOGETHER_US: Final = 10_000_000
#: Share of the events of a home that cannot be used, over about a day.
_RUBBISH_SHARE: Final = 0.004
_RUBBISH_LEAST: Final = 8.0
_RUBBISH_ENTITIES: Final = 4
_KEPT: Final = 0.96
_FORGOTTEN: Final = 0.3
_SURELY: Final = 5


def look_at_clocks(facts: Iterable[HourFacts], context: JudgeContext, watches: Watches, end_us: int) -> None:
    """Say of which devices the clock is off: what stamps an event is the device's, or what brings it."""
    of: dict[tuple[Scope, str], list[float | None]] = defaultdict(list)
    for one in facts:
        if one.lags:
            device = context.subject(one.series).device
            of[(Scope.DEVICE, device) if device else (Scope.ENTITY, one.series)].append(off_ms(one))
    for (scope, subject), found in of.items():
        off = [ms for ms in found if ms is not None]
        if len(off) * 2 > len(found):
            text = f"its events are stamped {abs(median(off)) / 60_000:.0f} min {'early' if off[0] > 0 else 'late'}"
            watches.bad(ProblemKind.CLOCK_OFF, scope, subject, (end_us - HOUR_US, end_us), text)
        elif not off:
            key = (ProblemKind.CLOCK_OFF, scope, subject)
            if key in watches.active and not watches.active[key].opened:
                watches.drop(*key)


def look_for_twins(facts: Iterable[HourFacts], watches: Watches, end_us: int) -> None:
    """Say which entities told the very same numbers: one thing by two roads."""
    alike: dict[tuple[object, ...], list[HourFacts]] = defaultdict(list)
    for one in facts:
        if one.values >= _LEAST_VALUES and one.spread > 0 and one.mean is not None:
            key = (one.values, one.low, one.high, one.first, one.last, f"{one.mean:.6g}", *one.units)
            alike[key].append(one)
    for twins in alike.values():
        if len(twins) == 1 or _told_apart(twins):
            continue
        first, *copies = sorted(twins, key=lambda one: one.series)
        for copy in copies:
            text = f"it says the same as {first.series}, value for value"
            # Alike in more values is alike less by chance.
            weight = 2 if copy.values >= _SURELY else 1
            watches.bad(
                ProblemKind.DUPLICATE_SOURCE, Scope.ENTITY, copy.series, (copy.hour_us, end_us), text, weight=weight
            )


def _told_apart(twins: Sequence[HourFacts]) -> bool:
    """Tell whether they cannot be one thing, as they do not speak at the same time."""
    first = [one.first_us for one in twins]
    last = [one.last_us for one in twins]
    return max(max(first) - min(first), max(last) - min(last)) > _TOGETHER_US


def look_at_rooms(
    facts: Iterable[HourFacts],
    memories: Mapping[str, Memory],
    context: JudgeContext,
    watches: Watches,
    end_us: int,
) -> None:
    """Say which sensors are further from those of their room than they used to be."""
    rooms: dict[tuple[str, str, tuple[str, ...]], list[HourFacts]] = defaultdict(list)
    for one in facts:
        subject = context.subject(one.series)
        if one.mean is not None and subject.area and subject.device_class in _APART:
            rooms[subject.area, subject.device_class, one.units].append(one)
    for (area, device_class, _), siblings in rooms.items():
        if len(siblings) > 1:
            for scope, who, text in _unlike_room(area, device_class, siblings, memories):
                watches.bad(ProblemKind.DISAGREES, scope, who, (end_us - HOUR_US, end_us), text)


def _unlike_room(
    area: str, device_class: str, siblings: Sequence[HourFacts], memories: Mapping[str, Memory]
) -> Iterator[tuple[Scope, str, str]]:
    """Yield who is unlike; of two sensors nobody can say which is wrong: it is said once, of the room."""
    pair = not siblings[2:]
    for index, one in enumerate(siblings):
        others = median(other.mean or 0.0 for at, other in enumerate(siblings) if at != index)
        offset, memory = (one.mean or 0.0) - others, memories[one.series]
        known = usual(memory.offsets, _KNOWN_HOURS)
        if known is None or abs(offset - known.middle) <= max(_APART[device_class], _SIGMAS * known.sigma):
            memory.offsets.append(round(offset, 4))
            del memory.offsets[:-_KEPT_HOURS]
        elif not (pair and index):
            text = f"{one.series} is {offset:+.3g} from its room, where {known.middle:+.3g} is usual"
            yield (Scope.AREA, area, text) if pair else (Scope.ENTITY, one.series, text)


class HomeRubbish:
    """How much of what a whole home says cannot be used, about a day long."""

    def __init__(self, events: float = 0.0, bad: float = 0.0, of: Mapping[str, float] | None = None) -> None:
        self.events = events
        self.bad = bad
        self.of = dict(of or {})

    def look(self, home: str, unusable: Mapping[str, int], events: int, watches: Watches, end_us: int) -> None:
        """Take in an hour: states that cannot be used, by entity, and all events."""
        self.events = self.events * _KEPT + events
        self.bad = self.bad * _KEPT + sum(unusable.values())
        self.of = {name: kept for name, level in self.of.items() if (kept := level * _KEPT) > _FORGOTTEN}
        for name, count in unusable.items():
            self.of[name] = self.of.get(name, 0.0) + count
        share = self.bad / self.events if self.events else 0.0
        widely = len(self.of) >= _RUBBISH_ENTITIES and max(self.of.values()) < 0.5 * self.bad
        if widely and self.bad >= _RUBBISH_LEAST and share >= _RUBBISH_SHARE:
            text = f"{share:.1%} of what the home says cannot be used, of {len(self.of)} entities"
            watches.bad(
                ProblemKind.RUBBISH, Scope.HOME, home, (end_us - HOUR_US, end_us), text, count=sum(unusable.values())
            )
