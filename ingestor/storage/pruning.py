"""The port of stores that can let old events go: what is older than a time, counted and deleted in portions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Outdated:
    """Events of a home: how many, and the times of the first and the last one (Unix ns)."""

    home: str
    events: int
    first_ns: int
    last_ns: int


@runtime_checkable
class Prunable(Protocol):
    """A store that deletes by time: events of our own schema, and what held for a home then. Others stay."""

    def outdated(self, before_ns: int) -> list[Outdated]:
        """Return what is older, by home. Raises as the store's `write` does."""
        ...

    def prune(self, before_ns: int) -> list[Outdated]:
        """Delete a portion of what is older, the oldest first; return what that was, nothing once all is gone."""
        ...


def added_up(portions: Iterable[Outdated]) -> list[Outdated]:
    """Return the sums by home, in the order of their names."""
    found: dict[str, Outdated] = {}
    for one in portions:
        other = found.get(one.home, one)
        events = one.events if other is one else one.events + other.events
        first_ns, last_ns = min(one.first_ns, other.first_ns), max(one.last_ns, other.last_ns)
        found[one.home] = Outdated(one.home, events, first_ns, last_ns)
    return [found[home] for home in sorted(found)]
