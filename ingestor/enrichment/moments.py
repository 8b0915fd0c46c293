"""The moment that an event falls into: fields that hold for a whole home for a while, found once for all its events.

A part (local time, weather, who is home) says what it knows of a time, and from when until when that holds; a moment
is what all parts say, no longer than a minute. It does no I/O: parts read what they need once a batch (`begin`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import structlog

from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event, Extra, Moment
from ingestor.home.facts import HomeFacts

MINUTE_US: Final = 60_000_000
#: Before and after all times that an event may have.
LONG_AGO_US: Final = -(2**62)
FAR_AHEAD_US: Final = 2**62
#: Minutes of which the moments are kept, over all homes: a day and a half of one home.
_MAX_MINUTES: Final = 2048

_log = structlog.get_logger(__name__)


class Stretch(NamedTuple):
    """What a part knows of a time, and from when until when (exclusive) it knows just that."""

    fields: dict[str, Extra]
    from_us: int = LONG_AGO_US
    until_us: int = FAR_AHEAD_US


class MomentPart(Protocol):
    """One kind of context that all events of a home share."""

    @property
    def name(self) -> str:
        """The name under which the part stands in the settings, in notes and in metrics."""
        ...

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        """Look at a batch and read what is new; may raise anything."""
        ...

    def version(self, home: str) -> Hashable:
        """Return what changes when an answer given before may no longer be right."""
        ...

    def at(self, facts: HomeFacts, time_us: int) -> Stretch:
        """Return what is known of a time of the home. No I/O; may raise anything."""
        ...


@dataclass(slots=True)
class _Found:
    """A moment, and what its parts could not say."""

    moment: Moment
    notes: list[str]


@dataclass(slots=True)
class _Home:
    """What was found for a home with the facts and versions of then."""

    facts: HomeFacts
    versions: tuple[Hashable, ...]
    minutes: OrderedDict[int, list[_Found]] = field(default_factory=OrderedDict)


class MomentStep:
    """Gives each event the index of its moment. One for a process; keeps the moments of the last minutes."""

    name: Final = "moment"

    def __init__(self, parts: Sequence[MomentPart]) -> None:
        self._parts = tuple(parts)
        self._homes: OrderedDict[str, _Home] = OrderedDict()
        self._current: _Home | None = None
        self._indices: dict[int, int] = {}
        # The moment of the event before: mostly the next event's, too.
        self._from_us = FAR_AHEAD_US
        self._until_us = LONG_AGO_US
        self._index = -1
        self._notes: list[str] = []

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        """Let the parts read what is new, and forget what may no longer be right."""
        self._from_us, self._until_us = FAR_AHEAD_US, LONG_AGO_US
        self._indices.clear()
        for part in self._parts:
            try:
                part.begin(events, around)
            except Exception as error:  # noqa: BLE001 - what is known already is still good, and the next batch tries again
                _log.warning("step_failed", step=part.name, home=around.home, exc_info=error)
        versions = tuple(part.version(around.home) for part in self._parts)
        known = self._homes.get(around.home)
        if known is None or known.facts is not around.facts or known.versions != versions:
            known = self._homes[around.home] = _Home(around.facts, versions)
        self._current = known

    def apply_all(self, events: Sequence[Event], around: Surroundings) -> Sequence[Event]:
        """Give all events their moment; return those that a part has something to note of."""
        others: list[Event] = []
        for event in events:
            if not self._from_us <= event.time_us < self._until_us:
                self._turn_to(event.time_us, around)
            if self._notes:
                others.append(event)
            else:
                event.moment = self._index
        return others

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Give the event its moment."""
        time_us = event.time_us
        if not self._from_us <= time_us < self._until_us:
            self._turn_to(time_us, around)
        event.moment = self._index
        if self._notes:
            event.notes.extend(self._notes)
        return True

    def _turn_to(self, time_us: int, around: Surroundings) -> None:
        found = self._find(time_us, around)
        moment = found.moment
        index = self._indices.get(id(moment))
        if index is None:
            # `around.moments` keeps the moment, so its id is not another's.
            index = self._indices[id(moment)] = len(around.moments)
            around.moments.append(moment)
        self._from_us, self._until_us = moment.from_us, moment.until_us
        self._index, self._notes = index, found.notes

    def _find(self, time_us: int, around: Surroundings) -> _Found:
        home = self._current
        if home is None:
            self.begin((), around)
            return self._find(time_us, around)
        minute = time_us // MINUTE_US
        several = home.minutes.get(minute)
        if several is None:
            several = home.minutes[minute] = []
            self._forget(home)
        for found in several:
            if found.moment.from_us <= time_us < found.moment.until_us:
                return found
        several.append(found := self._make(home.facts, time_us))
        return found

    def _forget(self, home: _Home) -> None:
        """Let the oldest go, also those of other homes, where there are too many."""
        share = max(2, _MAX_MINUTES // len(self._homes))
        while len(home.minutes) > share:
            home.minutes.popitem(last=False)

    def _make(self, facts: HomeFacts, time_us: int) -> _Found:
        from_us = time_us // MINUTE_US * MINUTE_US
        until_us = from_us + MINUTE_US
        fields: dict[str, Extra] = {}
        notes: list[str] = []
        for part in self._parts:
            try:
                said = part.at(facts, time_us)
            except Exception as error:  # noqa: BLE001 - a fault in one part must not cost what the others know
                notes.append(f"{part.name}: {type(error).__name__}: {error}"[:200])
                _log.warning("step_failed", step=part.name, home=facts.home, exc_info=error)
                continue
            fields.update(said.fields)
            from_us, until_us = max(from_us, said.from_us), min(until_us, said.until_us)
        return _Found(Moment(from_us, until_us, fields), notes)
