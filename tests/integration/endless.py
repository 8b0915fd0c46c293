"""A question to the embedded store that has no end of its own."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from ingestor import errors
from ingestor.storage import embedded
from ingestor.storage.embedded import EmbeddedStore

_STATEMENT = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@dataclass
class Endless:
    """What became of it."""

    begun: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


def ask_endlessly(monkeypatch: pytest.MonkeyPatch) -> Endless:
    """Let whatever is asked of the embedded store have no end, until that is undone."""
    found, rows = Endless(), EmbeddedStore._rows

    def endless(store: EmbeddedStore, *_: Any) -> Any:
        found.begun.set()
        try:
            return rows(store, _STATEMENT, [])
        except errors.TookTooLong:
            found.ended.set()
            raise

    monkeypatch.setattr(EmbeddedStore, "_rows", endless)
    monkeypatch.setattr(embedded, "_STEPS_BETWEEN_LOOKS", 1000)
    return found
