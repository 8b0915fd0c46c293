"""The whole road in one process: what becomes of each slot of a batch, from its frames to the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from ingestor import errors
from ingestor.events.event import EventBatch
from ingestor.events.frame import Frame, FrameKind, RawBatch, new_batch_id
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.model import Snapshot
from ingestor.pipeline.enrich import enrich
from ingestor.pipeline.validate import validate
from ingestor.pipeline.write import Writer
from ingestor.queue import message
from ingestor.queue.done import DoneMark
from ingestor.settings import StorageSettings
from ingestor.storage.line_protocol import Encoder
from ingestor.storage.memory import MemoryStore
from ingestor.storage.quarantine_memory import MemoryQuarantine
from ingestor.storage.schema import PointBuilder
from ingestor.storage.written_memory import MemoryWrittenIndex
from tests.unit.line_protocol_parser import parse_lines

CORPUS = Path(__file__).parent / "corpus"
KINDS: tuple[FrameKind, ...] = get_args(FrameKind)
TOPICS = {
    "zigbee2mqtt": "zigbee2mqtt/kitchen",
    "tasmota": "tele/plug/SENSOR",
    "statestream": "homeassistant/light/a/state",
}
NOW_NS = 1_795_229_244_000_000_000
STORAGE = StorageSettings(extra_fields=["attributes", "last_changed", "parent_id", "user_id", "origin"])


def corpus(kind: str) -> Iterator[Path]:
    """Yield the files of one kind."""
    yield from sorted((CORPUS / kind).iterdir())


@dataclass
class Road:
    """Memory twins of everything that a batch meets."""

    carries: frozenset[str] = frozenset({"attributes"})
    storage: StorageSettings = STORAGE
    store: MemoryStore = field(default_factory=MemoryStore)
    quarantine: MemoryQuarantine = field(default_factory=MemoryQuarantine)
    index: MemoryWrittenIndex = field(default_factory=MemoryWrittenIndex)

    def send(self, *frames: Frame) -> Counter[str]:
        """Send frames as one batch; return how many slots ended in which way, each of them exactly once."""
        raw = RawBatch(new_batch_id(), "home", "fuzz", "journal", NOW_NS, list(frames))
        found = validate(message.decode_raw(message.encode_raw(raw)), self.carries)
        self.quarantine.put(found.quarantined)
        batch = message.decode_events(message.encode_events(found.batch))
        if not batch.events:
            return self._ended(DoneMark(batch.batch_id, "store", batch.size, batch.settled), len(found.quarantined))
        home = MemoryHomeMap()
        home.publish(Snapshot("home", 1, 0, {}), ())
        outcome = enrich(batch, home, now_ns=NOW_NS, wait_s=0)
        assert outcome.ready is not None
        assert outcome.held is None
        builder = PointBuilder(self.storage)
        ready = message.decode_events(message.encode_events(outcome.ready))
        written = Writer(self.store, builder, self.index).write(ready)
        self.quarantine.put(written.quarantined)
        self._points_are_one_line_each(builder, ready)
        return self._ended(written.mark, len(found.quarantined) + len(written.quarantined))

    def _ended(self, mark: DoneMark, quarantined: int) -> Counter[str]:
        slots = [slot for settled in mark.settled for slot in settled.slots]
        assert sorted(slots) == list(range(mark.size)), "every slot ends, and ends once"
        ended: Counter[str] = Counter({settled.outcome: 0 for settled in mark.settled})
        for settled in mark.settled:
            ended[settled.outcome] += len(settled.slots)
        assert ended["rejected"] == quarantined, "what is rejected is in the quarantine"
        return +ended

    @staticmethod
    def _points_are_one_line_each(builder: PointBuilder, batch: EventBatch) -> None:
        encoder = Encoder()
        for event in batch.events:
            try:
                points = builder.points(event, batch.places[event.place], "home", event.time_us * 1000)
            except errors.Rejected:
                continue
            assert len(parse_lines(encoder.encode(points))) == len(points)


def frame(kind: FrameKind, payload: bytes, *, shadowed: bool = False) -> Frame:
    """Return a frame of that kind on a topic of that kind."""
    return Frame(kind, NOW_NS, payload, TOPICS.get(kind, "a/b"), shadowed)
