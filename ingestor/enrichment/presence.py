"""The part `presence` of a moment: which persons are home; no I/O of its own."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

from ingestor.enrichment.moments import Stretch
from ingestor.enrichment.steps import Surroundings
from ingestor.enrichment.watching import Watching
from ingestor.events.event import Event
from ingestor.home.facts import HomeFacts

_HOME: Final = "home"
#: More names than this are not listed: they are still counted.
_MAX_NAMES: Final = 50


class PresencePart:
    """Who is home, as the states of the person entities say. One whose whereabouts are not known is not counted."""

    name: Final = "presence"

    def __init__(self, watching: Watching) -> None:
        self._watching = watching
        self._persons: tuple[str, ...] = ()

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        """Take in where persons are. Raises StateUnavailable."""
        self._persons = tuple(person.entity_id for person in around.facts.persons)
        self._watching.begin(events, around)

    def version(self, home: str) -> Hashable:
        """Return how often a person of the home was heard of."""
        series = (self._watching.series(home, person) for person in self._persons)
        return tuple(one.changes if one else 0 for one in series)

    def at(self, facts: HomeFacts, time_us: int) -> Stretch:
        """Return how many persons are home at a time, and their names in the order of their entities."""
        known, here = 0, []
        stretch = Stretch({})
        for person in facts.persons:
            series = self._watching.series(facts.home, person.entity_id)
            if series is None:
                continue
            span = series.at(time_us)
            stretch = Stretch({}, max(stretch.from_us, span.from_us), min(stretch.until_us, span.until_us))
            known += span.value is not None
            if span.value == _HOME:
                here.append(person.name)
        if not known:
            return stretch
        names = ", ".join(here[:_MAX_NAMES])
        return stretch._replace(fields={"persons_home": len(here), "persons_home_names": names})
