"""The newest changes of state of all homes, so many and no more, in the store's own order; asks nobody."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ingestor import globs
from ingestor.events.event import Event, Moment, Place
from ingestor.events.point import FieldValue, StoredEvent
from ingestor.live.entry import LiveEntry
from ingestor.reading.recent import recent_object
from ingestor.storage.schema import STATES, PointBuilder, tag_text

#: What an event is found by: newest first, and within one time by home and series.
_Place = tuple[int, str, str]
_NOTHING: Final = float("-inf")


@dataclass(slots=True)
class _Kept:
    """An event: as it came from the store, or as the channel told it, until somebody wants to see it."""

    place: _Place
    entity_id: str
    stored: StoredEvent | None = None
    moment: Mapping[str, FieldValue] | None = None
    told: tuple[Event, Place, str] | None = None
    shown: bytes | None = None


class RecentTail:
    """At most `most` events. Complete for every time after the newest one that was left out. For one thread."""

    def __init__(
        self,
        events: Iterable[tuple[StoredEvent, Mapping[str, FieldValue]]],
        *,
        most: int,
        builder: PointBuilder,
        show: Callable[[dict[str, Any]], bytes],
    ) -> None:
        """Begin with the newest events that the store has, at least `most` of them where there are so many."""
        self._most = most
        self._builder = builder
        self._show = show
        self._kept: list[_Kept] = []
        self._by_place: dict[_Place, _Kept] = {}
        self._left_out_ns = _NOTHING
        for event, moment in events:
            self._put(_Kept(_place(event), str(event.fields.get("entity_id", "")), event, moment))
        if len(self._kept) == most:
            self._left_out_ns = max(self._left_out_ns, float(self._oldest_ns()))

    def add(self, entry: LiveEntry) -> None:
        """Take in what the channel tells."""
        for event, time_ns in zip(entry.events, entry.times_ns, strict=True):
            if event.kind != "state" or time_ns <= self._left_out_ns:
                continue
            place = entry.places[event.place]
            known = 0 <= event.moment < len(entry.moments)
            moment: Moment | None = entry.moments[event.moment] if known else None
            kept = _Kept((-time_ns, tag_text(entry.home), tag_text(place.series)), event.entity_id or "")
            kept.told, kept.moment = (event, place, entry.home), None if moment is None else moment.fields
            self._put(kept)

    def read(self, limit: int, series: tuple[str, ...] | None, entity: str | None) -> list[bytes] | None:
        """Return the newest events, as shown; None where they may be others than those that are kept."""
        wanted = _wanted(series, entity)
        found: list[_Kept] = []
        for kept in self._kept:
            if wanted(kept):
                found.append(kept)
                if len(found) == limit:
                    break
        if self._left_out_ns != _NOTHING and (len(found) < limit or -found[-1].place[0] <= self._left_out_ns):
            return None
        shown = [self._shown(kept) for kept in found]
        return None if None in shown else [one for one in shown if one is not None]

    def _put(self, kept: _Kept) -> None:
        before = self._by_place.get(kept.place)
        if before is not None:
            self._merge(before, kept)
            return
        bisect.insort(self._kept, kept, key=lambda one: one.place)
        self._by_place[kept.place] = kept
        if len(self._kept) > self._most:
            gone = self._kept.pop()
            del self._by_place[gone.place]
            self._left_out_ns = max(self._left_out_ns, float(-gone.place[0]))

    def _merge(self, before: _Kept, kept: _Kept) -> None:
        """Let a richer source add to what a poorer one has said, as the store does."""
        old, new = self._stored(before), self._stored(kept)
        before.stored = StoredEvent(**{name: getattr(new, name) for name in _KEY}, fields={**old.fields, **new.fields})
        before.moment = kept.moment if kept.moment is not None else before.moment
        before.told = before.shown = None

    def _stored(self, kept: _Kept) -> StoredEvent:
        """Return an event as the store would give it back."""
        if kept.stored is None:
            assert kept.told is not None  # noqa: S101 -- one of both is there
            event, place, home = kept.told
            point = next(
                one for one in self._builder.points(event, place, home, -kept.place[0]) if one.measurement == STATES
            )
            tags = dict(point.tags)
            kept.stored = StoredEvent(
                point.time_ns, "state", tags["home"], tags["series"], tags["domain"], tags, point.all_fields()
            )
            kept.told = None
        return kept.stored

    def _shown(self, kept: _Kept) -> bytes | None:
        """Return it as shown; None where nobody knows what held for its home then: the store may."""
        if kept.shown is None and kept.moment is not None:
            kept.shown = self._show(recent_object(self._stored(kept), kept.moment))
        return kept.shown

    def _oldest_ns(self) -> int:
        return -self._kept[-1].place[0]


_KEY: Final = ("time_ns", "kind", "home", "series", "domain", "tags")


def _place(event: StoredEvent) -> _Place:
    return (-event.time_ns, event.home, event.series)


def _wanted(series: tuple[str, ...] | None, entity: str | None) -> Callable[[_Kept], bool]:
    among = None if series is None else frozenset(series)
    fits = None if entity is None else globs.compiled((entity,)).match

    def wanted(kept: _Kept) -> bool:
        name = kept.place[2]
        return (among is None or name in among) and (
            fits is None or fits(name) is not None or fits(kept.entity_id) is not None
        )

    return wanted
