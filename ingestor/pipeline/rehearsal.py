"""The three steps over a batch, with nothing behind them: shows whether a batch harms who works on it; keeps nothing.

No server is asked and nothing is stored, so that whatever happens is the batch's own doing.
"""

from __future__ import annotations

import time

import msgspec

from ingestor.events.event import Place
from ingestor.events.frame import Frame, RawBatch
from ingestor.home.model import Snapshot, domain_of
from ingestor.pipeline.enrich import enrich
from ingestor.pipeline.validate import validate
from ingestor.pipeline.write import Writer
from ingestor.quality.gate import Gate
from ingestor.queue import message
from ingestor.settings import Settings
from ingestor.storage.memory import MemoryStore
from ingestor.storage.schema import PointBuilder
from ingestor.storage.written_memory import MemoryWrittenIndex


class _EveryPlace:
    """A map that knows every entity, by its name alone."""

    def ready(self, _home: str) -> bool:
        """Always."""
        return True

    def place_of(self, home: str, entity_id: str, time_us: int, *, waits: bool = True) -> Place | None:
        """Return a place without context."""
        del waits
        return self.decide_unknown(home, entity_id, time_us)

    def snapshot(self, _home: str) -> Snapshot | None:
        """No version: each entity is asked for by its name."""
        return None

    def answered_since(self, _home: str, _since_ns: int) -> bool:
        """Always: there is nobody to ask."""
        return True

    def decide_unknown(self, _home: str, entity_id: str, _time_us: int) -> Place:
        """Return a place without context."""
        return Place(series=entity_id, domain=domain_of(entity_id))

    def refresh(self) -> None:
        """Do nothing."""


def rehearse(raw: RawBatch, frames: list[Frame], settings: Settings) -> None:
    """Do with some frames of a batch what the workers would do; raises what they would."""
    found = validate(msgspec.structs.replace(raw, frames=frames), settings.carries(), gate=Gate(settings.quality))
    batch = message.decode_events(message.encode_events(found.batch))
    ready = enrich(batch, _EveryPlace(), now_ns=time.time_ns(), wait_s=0.0).ready
    if ready is not None:
        writer = Writer(MemoryStore(), PointBuilder(settings.storage), MemoryWrittenIndex())
        writer.write(message.decode_events(message.encode_events(ready)))
