"""The objects of a home, kept while nothing of the home changes: to read those of a large one takes 5 ms and more."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ingestor import bootstrap
from ingestor.api.means import Means

#: A change that another machine's clock has put into the past is seen after so long.
_KEEP_S: Final = 60.0
_MOST: Final = 8


@dataclass(frozen=True, slots=True)
class _Kept:
    objects: Mapping[str, dict[str, Any]]
    read_us: int
    until_s: float


class Objects:
    """The kinds of objects that were asked for last, by home. For many threads: who gets them changes none."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._lock = threading.Lock()

    def now(self, home: str, kind: str) -> Mapping[str, dict[str, Any]]:
        """Return the objects of a kind by id, as they are; blocks. Raises StoreUnavailable."""
        store = bootstrap.open_objects(self._means.settings, self._means.metadata())
        kept = self._kept.get((home, kind))
        if kept is not None and time.monotonic() < kept.until_s and not store.changed_since(home, kept.read_us):
            return kept.objects
        read_us = time.time_ns() // 1000
        found = store.load(home, kind).get(kind, {})
        with self._lock:
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[home, kind] = _Kept(found, read_us, time.monotonic() + _KEEP_S)
        return found
