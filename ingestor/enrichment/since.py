"""The step `since`: how long an entity had been as it was, and which of its events this is; one round trip a batch.

The event itself says when its entity had changed before, where its source tells; else the memory of all workers does.
That memory moves forward in event time alone (rule 7): an event that is late or sent again gets nothing from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event
from ingestor.home.sequence import Seen, Sequences

_US_PER_S: Final = 1_000_000


class SinceStep:
    """Adds `seconds_since_change` and `sequence` to states."""

    name: Final = "since"

    def __init__(self, sequences: Sequences) -> None:
        self._sequences = sequences

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Add what the event itself says of the time since its entity's last change."""
        del around
        before_us = _changed_before_us(event)
        if before_us is not None and before_us <= event.time_us:
            extras = event.extras = event.extras or {}
            extras["seconds_since_change"] = (event.time_us - before_us) / _US_PER_S
        return True

    def finish(self, events: Sequence[Event], around: Surroundings) -> None:
        """Add the numbers, and the time since the last change where the event does not say it."""
        states = sorted((event for event in events if event.kind == "state"), key=_time_us)
        seen = [Seen(around.places[event.place].series, event.time_us, event.identity) for event in states]
        for event, place in zip(states, self._sequences.count(around.home, seen), strict=True):
            if place is None:
                continue
            extras = event.extras = event.extras or {}
            extras["sequence"] = place.number
            if place.changed_us is not None and "seconds_since_change" not in extras:
                extras["seconds_since_change"] = (event.time_us - place.changed_us) / _US_PER_S


def _changed_before_us(event: Event) -> int | None:
    """Return when the entity changed last before this event, as its source says."""
    if event.kind != "state":
        return None
    if event.previous_changed_us is not None:
        return event.previous_changed_us
    changed_us = event.last_changed_us
    # Equal: this event is a change itself, and the one before it is not told.
    return changed_us if changed_us is not None and changed_us < event.time_us else None


def _time_us(event: Event) -> int:
    return event.time_us
