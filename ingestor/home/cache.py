"""The map of the homes as the workers see it: a local copy of the newest version; looking up does no I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Final

import redis
import structlog

from ingestor import errors
from ingestor.events.event import Place
from ingestor.home.model import Snapshot, bare_place
from ingestor.home.publication import MAX_DECIDED, Decision, Published, RedisMaps, not_published
from ingestor.home.requests import answered_since, request_sync

#: A map is looked at for a newer version no more often than this. It must be well below the time after which a
#: version takes effect (rule 2: 5 s), so that no event is placed by a version that no longer holds.
CHECK_EVERY_S: Final = 1.0
#: A worker asks for a sync of a home because of an unknown entity no more often than this.
_ASK_EVERY_S: Final = 1.0
_ATTEMPTS: Final = 5
_NS_PER_S: Final = 1_000_000_000
_log = structlog.get_logger(__name__)


class _LocalMaps:
    """Snapshots by home, and the decisions since."""

    def __init__(self) -> None:
        self._snapshots: dict[str, Snapshot] = {}
        self._decided: dict[str, frozenset[str]] = {}

    def snapshot(self, home: str) -> Snapshot | None:
        """Return the newest version that this process has read; None if there is none."""
        return self._snapshots.get(home)

    def _find(self, home: str, entity_id: str, time_us: int, *, waits: bool) -> Place | None:
        snapshot = self._snapshots.get(home)
        if snapshot is None:
            return None
        place = snapshot.place_of(entity_id, time_us, waits=waits)
        if place is None and entity_id in self._decided[home]:
            return bare_place(entity_id)
        return place


class RedisHomeMap(_LocalMaps):
    """The map that the registry task publishes in Redis. One for each process.

    Asks for a sync by itself where an entity is not known, or where Redis has lost the map.
    """

    def __init__(
        self,
        state: redis.Redis[bytes],
        *,
        check_every_s: float = CHECK_EVERY_S,
        max_decided: int = MAX_DECIDED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._state = state
        self._maps = RedisMaps(state, max_decided=max_decided)
        self._check_every_s = check_every_s
        self._clock = clock
        self._homes: set[str] = set()
        self._checked_at = float("-inf")
        self._asked_at: dict[str, float] = {}

    def ready(self, home: str) -> bool:
        """Tell whether the home was ever synced; reads its map at the first call. Raises StateUnavailable."""
        if home not in self._homes:
            self._load(home)
            self._homes.add(home)
        if home in self._snapshots:
            return True
        self._ask(home)
        return False

    def place_of(self, home: str, entity_id: str, time_us: int, *, waits: bool = True) -> Place | None:
        """Return the place in force at that time, None if the entity is not known (yet)."""
        place = self._find(home, entity_id, time_us, waits=waits)
        if place is None and waits:
            self._ask(home)
        return place

    def answered_since(self, home: str, since_ns: int) -> bool:
        """Tell whether a sync that began since then has said which entities there are. Raises StateUnavailable."""
        return answered_since(self._state, home, since_ns / _NS_PER_S)

    def decide_unknown(self, home: str, entity_id: str, time_us: int) -> Place:
        """Store that this entity is a series of its own name without context, unless it is known by now.

        Raises StateUnavailable, also where the map is not published at the moment.
        """
        for _ in range(_ATTEMPTS):
            if (place := self._find(home, entity_id, time_us, waits=True)) is not None:
                return place
            version = self._snapshots[home].version if home in self._snapshots else -1
            decision = self._maps.decide(home, version, entity_id)
            if decision is not Decision.STALE:
                if decision is Decision.UNKEPT:
                    _log.warning("decision_unkept", home=home, entity_id=entity_id)
                self._decided[home] |= {entity_id}
                return bare_place(entity_id)
            self._load(home)
        self._ask(home)
        raise not_published(home)

    def refresh(self) -> None:
        """Read newer versions, if there are any; asks Redis at most once a second. Raises StateUnavailable."""
        now = self._clock()
        if now - self._checked_at < self._check_every_s or not self._homes:
            return
        for home, (version, decisions) in self._maps.versions(sorted(self._homes)).items():
            mine = self._snapshots.get(home)
            if version is None or (mine is not None and version < mine.version):
                # Redis was flushed, or has lost its last second: what is held here is newer and still right.
                self._ask(home)
            elif mine is None or version > mine.version or decisions > len(self._decided[home]):
                self._load(home)
        self._checked_at = now

    def _load(self, home: str) -> None:
        snapshot, decided = self._maps.load(home)
        mine = self._snapshots.get(home)
        if snapshot is None or (mine is not None and snapshot.version < mine.version):
            return
        self._snapshots[home] = snapshot
        self._decided[home] = decided
        _log.debug("map_loaded", home=home, version=snapshot.version, entities=len(snapshot.timelines))

    def _ask(self, home: str) -> None:
        now = self._clock()
        if now - self._asked_at.get(home, float("-inf")) < _ASK_EVERY_S:
            return
        self._asked_at[home] = now
        try:
            request_sync(self._state, home, settle=False)
        except errors.StateUnavailable as error:
            # Asking is a courtesy: who needs the answer finds out by itself that Redis is away.
            _log.warning("sync_not_requested", home=home, error=str(error))


class MemoryHomeMap(_LocalMaps):
    """The map within one process, also as its own publisher: for tests and for trying things out."""

    def ready(self, home: str) -> bool:
        """Tell whether the home was ever synced."""
        return home in self._snapshots

    def place_of(self, home: str, entity_id: str, time_us: int, *, waits: bool = True) -> Place | None:
        """Return the place in force at that time, None if the entity is not known (yet)."""
        return self._find(home, entity_id, time_us, waits=waits)

    def answered_since(self, home: str, since_ns: int) -> bool:
        """Tell that there is nobody to wait for: this map is its own publisher."""
        del home, since_ns
        return True

    def decide_unknown(self, home: str, entity_id: str, time_us: int) -> Place:
        """Store that this entity is a series of its own name without context, unless it is known by now."""
        if (place := self._find(home, entity_id, time_us, waits=True)) is not None:
            return place
        if home not in self._snapshots:
            raise not_published(home)
        self._decided[home] |= {entity_id}
        return bare_place(entity_id)

    def refresh(self) -> None:
        """Do nothing: there is no other copy."""

    def published(self, home: str) -> Published:
        """Return what is out."""
        snapshot = self._snapshots.get(home)
        return Published(snapshot.version if snapshot else None, self._decided.get(home, frozenset()))

    def publish(self, snapshot: Snapshot, decided: Collection[str]) -> bool:
        """Put a version out, unless there are other decisions than `decided`."""
        if len(self._decided.get(snapshot.home, ())) != len(decided):
            return False
        self._snapshots[snapshot.home] = snapshot
        self._decided[snapshot.home] = frozenset()
        return True
