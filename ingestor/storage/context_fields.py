"""Which fields of enrichment stand on the points of states; each costs a store more than all of finding it."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from ingestor.events.event import Extra

#: Kinds of causes that say that nobody else did it, as far as anybody knows.
_NO_CAUSE: Final = frozenset({"device", "unknown"})
#: What quality says of a point stands on it: there are few such, and who reads the point must know.
_ALWAYS: Final = frozenset({"raw_state", "raw_unit", "repaired_by", "value_clean", "counter_event"})
_MAX_CACHED: Final = 10_000


class ContextFields:
    """Which fields of enrichment stand on the points of states. For one thread."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = patterns
        self._all = "*" in patterns
        self._known: dict[str, bool] = {}

    def of(self, fields: dict[str, Extra]) -> dict[str, Extra]:
        """Return those fields that are wanted. A cause that is none (`device`, `unknown`) is not worth a field."""
        if self._all:
            return fields
        return {
            name: value
            for name, value in fields.items()
            if self._wants(name) and not (name == "cause_kind" and value in _NO_CAUSE)
        }

    def _wants(self, name: str) -> bool:
        wanted = True if name in _ALWAYS else self._known.get(name)
        if wanted is None:
            if len(self._known) >= _MAX_CACHED:
                self._known.clear()
            wanted = self._known[name] = any(fnmatchcase(name, pattern) for pattern in self._patterns)
        return wanted

    def wants_any(self, *names: str) -> bool:
        """Tell whether any of these fields is wanted."""
        return self._all or any(self._wants(name) for name in names)
