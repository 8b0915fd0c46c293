"""What steps know of the watched entities: the states that a batch brings, and what other workers have seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event
from ingestor.home.facts import HomeFacts
from ingestor.home.watched import Reading, Series, Watched, reading_of, says_anything, watched_entities
from ingestor.quality.rule import REPAIRED_BY

_NO_ATTRIBUTES: Final[dict[str, object]] = {}


class Watching:
    """The watched entities as the steps of one worker see them: read once a batch, whichever step asks first."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._around: Surroundings | None = None
        self._facts: HomeFacts | None = None
        self._entities: frozenset[str] = frozenset()

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        """Take in what a batch brings, and what others have seen. Raises StateUnavailable (its own is taken in)."""
        if around is self._around:
            return
        self._around = around
        if around.facts is not self._facts:
            self._facts, self._entities = around.facts, watched_entities(around.facts)
        entities = self._entities
        found = [_reading(event) for event in events if event.entity_id in entities and event.kind == "state"]
        self._watched.exchange(around.home, [one for one in found if says_anything(one)])

    def series(self, home: str, entity_id: str) -> Series | None:
        """Return an entity's values; None where there are none."""
        return self._watched.series(home, entity_id)


def _reading(event: Event) -> Reading:
    entity_id = event.entity_id or event.subject
    return reading_of(entity_id, event.time_us, _state(event), event.unit, event.attributes or _NO_ATTRIBUTES)


def _state(event: Event) -> str | None:
    """Return the state; of a number that a rule of quality put right, what it is in the event's unit now."""
    if event.extras is None or REPAIRED_BY not in event.extras or event.value is None:
        return event.state
    return str(event.value)
