"""A demo home with hours behind it, a pipeline in this process, and a store: what reconciliation is tried on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ingestor.demo.clock import ManualClock
from ingestor.demo.home import DemoHome
from ingestor.demo.running import Control
from ingestor.demo.wire import Event
from ingestor.events.frame import Frame, RawBatch, new_batch_id
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.model import Snapshot
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.pipeline.enrich import enrich
from ingestor.pipeline.history import GapFiller
from ingestor.pipeline.history_batches import Shipment
from ingestor.pipeline.reconcile import Reconciler, Sources
from ingestor.pipeline.reconcile_repair import GapRepair
from ingestor.pipeline.validate import validate
from ingestor.pipeline.write import Writer
from ingestor.queue import message
from ingestor.queue.done import MemoryDoneMarks
from ingestor.settings import HomeAssistantSettings, StorageSettings
from ingestor.storage.gaps import GapRecord, GapState
from ingestor.storage.gaps_memory import MemoryGaps
from ingestor.storage.port import HOUR_US, Store
from ingestor.storage.reconciled import ReconciledHour
from ingestor.storage.reconciled_memory import MemoryReconciledHours
from ingestor.storage.schema import PointBuilder
from ingestor.storage.written_memory import MemoryWrittenIndex

HOME = "home"
#: The demo home's time begins at a full hour, long ago.
BEGIN_US = 1_795_230_000_000_000 // HOUR_US * HOUR_US
SETTLE_US = HOUR_US // 4


def past_home(entities: int = 40, begin_us: int = BEGIN_US) -> DemoHome:
    """A demo home whose time is moved by the test."""
    return DemoHome(1, entities, clock=ManualClock(begin_us), rate=2.0)


@dataclass
class Line:
    """Validate, enrich and write in this process, and a count of what was written: the ledger of these tests."""

    store: Store
    counted: Counter[int] = field(default_factory=Counter)
    done: MemoryDoneMarks = field(default_factory=MemoryDoneMarks)

    def __post_init__(self) -> None:
        self.forget()
        self._map = MemoryHomeMap()
        self._map.publish(Snapshot(HOME, 1), ())

    def forget(self) -> None:
        """The index of written points forgets, as it does after its window."""
        self._writer = Writer(self.store, PointBuilder(StorageSettings()), MemoryWrittenIndex())

    def send(
        self, task: str, queue: str, body: bytes, *, task_id: str, shown: str, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Take a batch from the history filler."""
        del task, queue, task_id, shown, kwargs
        self.take(message.decode_raw(body))

    def close(self) -> None:
        """Nothing is held open."""

    def take(self, raw: RawBatch) -> None:
        """Bring a batch to the store."""
        found = validate(raw, frozenset()).batch
        decided = enrich(found, self._map, now_ns=time.time_ns(), wait_s=0.0)
        later = decided.held and enrich(decided.held, self._map, now_ns=time.time_ns() + 10**9, wait_s=0.0)
        for part in (decided.ready, later.ready if later else None):
            if part is not None and part.events:
                mark = self._writer.write(part).mark
                self.done.put(raw.journal, mark)
                times = {event.slot: event.time_us for event in part.events}
                written = [slot for one in mark.settled if one.outcome == "written" for slot in one.slots]
                self.counted.update(times[slot] // HOUR_US * HOUR_US for slot in written)

    def expected(self, since_us: int, until_us: int) -> dict[int, int]:
        """By hour, how many points were written."""
        return {hour: points for hour, points in self.counted.items() if since_us <= hour < until_us}


class Listener:
    """Hears a demo home's bus and brings everything to the store, except while it is deaf."""

    def __init__(self, home: DemoHome, line: Line) -> None:
        self.deaf = False
        self._line = line
        self._frames: list[Frame] = []
        home.listen(self._hear)

    def _hear(self, event: Event) -> None:
        if not self.deaf and event.event_type in {"state_changed", "call_service"}:
            self._frames.append(Frame("websocket", event.fired_us * 1000, event.message(1)))

    def live(self, control: Control, seconds: float) -> None:
        """Let time go by at the home, in portions that its server's thread finishes soon, and write what was heard."""
        for _ in range(round(seconds / 300)):
            control.call(lambda home: home.run_for(300))
        self.flush()

    def flush(self) -> None:
        """Write what was heard."""
        for first in range(0, len(self._frames), 500):
            part = self._frames[first : first + 500]
            self._line.take(RawBatch(new_batch_id(), HOME, "websocket", "journal", part[0].received_ns, part))
        self._frames.clear()


@dataclass
class Reconciling:
    """A reconciler over a store and a demo home that answers at `url`; gaps are filled by `fill`."""

    line: Line
    url: str
    token: str
    now_us: int
    hours: MemoryReconciledHours = field(default_factory=MemoryReconciledHours)
    gaps: MemoryGaps = field(default_factory=MemoryGaps)
    requests: int = 0

    def ask(self) -> HomeAssistantClient:
        self.requests += 1
        settings = HomeAssistantSettings.model_validate({"url": self.url, "token": self.token})
        return HomeAssistantClient(settings, answer_within_s=20)

    def reconciler(self, series: Mapping[str, Collection[str]] | None = None) -> Reconciler:
        sources = Sources(
            self.line.store, self.line.expected, self.ask, lambda: series or {}, lambda _since, _until: ""
        )
        return Reconciler(
            HOME,
            self.hours,
            sources,
            GapRepair(self.gaps),
            settle_us=SETTLE_US,
            now_us=lambda: self.now_us,
            pause=lambda _s: None,
        )

    def run(self) -> None:
        """Work until there is nothing to do at once."""
        while self.reconciler().step(20):
            pass

    def hour(self, hour_us: int = BEGIN_US) -> ReconciledHour:
        return self.hours.hours[HOME, hour_us]

    def fill(self) -> list[GapRecord]:
        """Fill every gap as the `history` tasks do; return them as they ended."""
        ended = []
        for gap in self.gaps.list(unended_only=True):
            with self.ask() as client:
                shipment = Shipment(HOME, "history", self.line, self.line.done)
                filler = GapFiller(
                    client, self.line.store, shipment, series=dict, room=lambda: True, save=self.gaps.save
                )
                step = filler.step(gap, 20)
                while step.again_in_s is not None:
                    time.sleep(min(step.again_in_s, 0.5))
                    step = filler.step(step.gap, 20)
            assert step.gap.state in {GapState.FILLED, GapState.PARTLY_FILLED}, step.gap
            ended.append(step.gap)
        return ended
