"""Lays what a home is now over what it was: which entities are new, changed, renamed, gone; pure, keeps nothing.

A series is the first entity_id that a registry entry was ever seen with (rule 1). Names may be used again: an
entity_id then goes on with another series from the effective time on, and two living entities never share one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from ingestor.events.event import Place
from ingestor.home.derive import Current
from ingestor.home.model import Timeline, bare_place

#: How an entry came: from the registry, from a state alone, decided by a worker that waited in vain, or the
#: registry entry has gone (removed, or to another entity_id).
Origin = Literal["registry", "state", "decided", "gone"]
#: Most entries of one entity_id. One that changes with every sync is kept as it is from then on, and reported.
MAX_ENTRIES: Final = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an entity's timeline, as the database keeps it."""

    entity_id: str
    version: int
    effective_us: int
    origin: Origin
    registry_id: str
    place: Place


@dataclass(frozen=True, slots=True)
class Diff:
    """What a sync has changed. `busy`: another one of this home was running, nothing was done."""

    version: int = 0
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)
    decided: list[str] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
    busy: bool = False

    def __bool__(self) -> bool:
        return any((self.added, self.changed, self.removed, self.renamed, self.decided))

    def __str__(self) -> str:
        if self.busy:
            return "busy"
        names = ("added", "changed", "removed", "renamed", "decided", "frozen")
        counts = [f"{len(found)} {name}" for name in names if (found := getattr(self, name))]
        return ", ".join(counts) or "unchanged"


class Merger:
    """The history of one home, by entity; `merge` adds a version to it.

    `joined` is the series that a registry entry goes on with from the next version on, because it plays the role of
    another one that has gone (or no longer does).
    """

    def __init__(self, entries: Iterable[Entry], joined: Mapping[str, str] | None = None) -> None:
        self._joined = joined or {}
        self._entries: dict[str, list[Entry]] = {}
        self._series: dict[str, str] = {}
        self._owners: dict[str, set[str]] = {}
        self._latest: dict[str, Entry] = {}
        for entry in entries:
            self._remember(entry)

    def merge(
        self, current: Mapping[str, Current] | None, decided: Collection[str], *, version: int, effective_us: int
    ) -> tuple[list[Entry], Diff]:
        """Return the entries that this version adds, and what they mean. Entries of `self` grow by them.

        `current` None: there is nobody to ask, so only the decisions are taken.
        """
        living = {one.registry_id: name for name, one in (current or {}).items()}
        last = (entries[-1] for entries in self._entries.values())
        lived = {entry.registry_id for entry in last if entry.origin == "registry"}
        job = _Merge(version, effective_us, living, lived)
        for entity_id in sorted(decided):
            self._decide(job, entity_id)
        if current is None:
            return job.entries, job.diff
        for entity_id, one in current.items():
            self._take(job, entity_id, one)
        for entity_id in [name for name in self._entries if name not in current]:
            self._miss(job, entity_id)
        return job.entries, job.diff

    def timelines(self) -> dict[str, Timeline]:
        """Return the places over time of every entity_id."""
        return {entity_id: _timeline(entries) for entity_id, entries in self._entries.items()}

    def _decide(self, job: _Merge, entity_id: str) -> None:
        if entity_id not in self._entries:
            self._add(job, entity_id, "decided", "", bare_place(entity_id))
            job.diff.decided.append(entity_id)

    def _take(self, job: _Merge, entity_id: str, one: Current) -> None:
        entries = self._entries.get(entity_id)
        last = entries[-1] if entries else None
        if last and last.origin == "registry" and not one.registry_id:
            # A renamed entity's old state lives on for a moment; if it is still there at the next sync, it is one.
            self._miss(job, entity_id)
            return
        place = self._place(job, entity_id, one, last)
        if last and last.origin != "gone" and last.registry_id == one.registry_id and last.place == place:
            return
        if entries and len(entries) >= MAX_ENTRIES:
            job.diff.frozen.append(entity_id)
            return
        before = self._latest.get(one.registry_id) if one.registry_id else None
        self._add(job, entity_id, "registry" if one.registry_id else "state", one.registry_id, place)
        if before is not None and before.entity_id != entity_id:
            job.diff.renamed.append((before.entity_id, entity_id))
        elif last is None or last.origin == "gone":
            job.diff.added.append(entity_id)
        else:
            job.diff.changed.append(entity_id)

    def _miss(self, job: _Merge, entity_id: str) -> None:
        """Note that a registry entry has gone. What has only a state may come back at any time: no note."""
        last = self._entries[entity_id][-1]
        if last.origin != "registry" or len(self._entries[entity_id]) >= MAX_ENTRIES:
            return
        self._add(job, entity_id, "gone", last.registry_id, last.place)
        if last.registry_id not in job.names:
            job.diff.removed.append(entity_id)

    def _place(self, job: _Merge, entity_id: str, one: Current, last: Entry | None) -> Place:
        device_class = one.place.device_class
        if not one.class_known:
            before = self._latest.get(one.registry_id) or last
            device_class = before.place.device_class if before else ""
        series = self._series_of(job, entity_id, one.registry_id, last)
        return msgspec.structs.replace(one.place, series=series, device_class=device_class)

    def _series_of(self, job: _Merge, entity_id: str, registry_id: str, last: Entry | None) -> str:
        joined = self._joined.get(registry_id)
        if joined and not self._is_shared(job, joined, registry_id):
            return joined
        known = self._series.get(registry_id)
        if known and (registry_id in job.lived or not self._is_shared(job, known, registry_id)):
            return known
        if not registry_id and last is not None and not last.registry_id:
            return last.place.series
        series, number = entity_id, 1
        while self._is_shared(job, series, registry_id):
            number += 1
            series = f"{entity_id}~{number}"
        return series

    def _is_shared(self, job: _Merge, series: str, registry_id: str) -> bool:
        """Tell whether somebody else has this series and lives: two entities must not share one."""
        return any(owner in job.names for owner in self._owners.get(series, ()) if owner != registry_id)

    def _add(self, job: _Merge, entity_id: str, origin: Origin, registry_id: str, place: Place) -> None:
        entry = Entry(entity_id, job.version, job.effective_us, origin, registry_id, place)
        job.entries.append(entry)
        self._remember(entry)

    def _remember(self, entry: Entry) -> None:
        self._entries.setdefault(entry.entity_id, []).append(entry)
        registry_id = entry.registry_id
        if registry_id and entry.origin != "gone":
            self._series[registry_id] = entry.place.series
            self._owners.setdefault(entry.place.series, set()).add(registry_id)
            self._latest[registry_id] = entry


@dataclass(frozen=True, slots=True)
class _Merge:
    """One call of `merge`: `names` is who lives now, by registry id; `lived` who did before."""

    version: int
    effective_us: int
    names: Mapping[str, str]
    lived: Collection[str]
    entries: list[Entry] = field(default_factory=list)
    diff: Diff = field(default_factory=Diff)


def _timeline(entries: Sequence[Entry]) -> Timeline:
    first, place = entries[0], entries[0].place
    later: list[tuple[int, Place]] = []
    for entry in entries[1:]:
        if entry.place == place:
            continue
        place = entry.place
        later.append((entry.effective_us, place))
    return Timeline(first.effective_us, first.place, later)
