"""What the pipeline asks of the map of the home; knows neither Redis nor a database."""

from __future__ import annotations

from typing import Protocol

from ingestor.events.event import Place
from ingestor.home.model import Snapshot


class HomeMap(Protocol):
    """The versions of one home's map, as far as this process has read them."""

    def ready(self, home: str) -> bool:
        """Tell whether the home was ever synced: nothing may be enriched before (rule 2)."""
        ...

    def place_of(self, home: str, entity_id: str, time_us: int, *, waits: bool = True) -> Place | None:
        """Return the place in force at that time (Unix microseconds); None if the entity is not known yet.

        An event that does not wait for a sync asks with `waits` False: None then also where the entity was not
        known yet at that time, so that it has no context ever after, too.
        """
        ...

    def snapshot(self, home: str) -> Snapshot | None:
        """Return the newest version that this process has read, to look up many in it; None if there is none."""
        ...

    def answered_since(self, home: str, since_ns: int) -> bool:
        """Tell whether a sync that began since then (Unix nanoseconds) has said which entities there are.

        Raises StateUnavailable.
        """
        ...

    def decide_unknown(self, home: str, entity_id: str, time_us: int) -> Place:
        """Store, for every process and for ever, that this entity is a series of its own name without context.

        Called after the entity stayed unknown for the whole wait; the first decision stands.
        """
        ...

    def refresh(self) -> None:
        """Read newer versions, if there are any; cheap when there are none. Raises StateUnavailable."""
        ...
