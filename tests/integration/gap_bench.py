"""A demo home whose time the test moves, and the steps of the pipeline in this process: for tests of filling gaps."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ingestor.demo.clock import SECOND_US, ManualClock
from ingestor.demo.home import DemoHome
from ingestor.demo.recorder import Asked, HistorySource
from ingestor.demo.registry import RefusedError
from ingestor.demo.running import RunningDemo, running_demo
from ingestor.demo.wire import Event as DemoEvent
from ingestor.events.event import Event, EventBatch, Place
from ingestor.events.identity import state_identity
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.pipeline.history import GapFiller, Step
from ingestor.pipeline.history_batches import Shipment
from ingestor.pipeline.validate import validate
from ingestor.pipeline.write import Writer
from ingestor.queue import message
from ingestor.queue.done import MemoryDoneMarks
from ingestor.settings import HomeAssistantSettings, StorageSettings
from ingestor.storage.gaps import GapRecord, GapState, gap_id_of
from ingestor.storage.gaps_memory import MemoryGaps
from ingestor.storage.memory import MemoryStore
from ingestor.storage.schema import PointBuilder
from ingestor.storage.written_memory import MemoryWrittenIndex

HOME = "home"
Change = tuple[str, int, str | None]


@dataclass
class Keeps:
    """What a recorder keeps: all but what is excluded, purged or not committed yet."""

    all: HistorySource
    excluded: set[str] = field(default_factory=set)
    purged_until_us: int = 0
    committed_until_us: int = 2**62
    takes_s: float = 0.0
    refuses: bool = False
    asked: list[Asked] = field(default_factory=list)

    def history(self, asked: Asked) -> dict[str, list[dict[str, Any]]]:
        self.asked.append(asked)
        time.sleep(self.takes_s)
        if self.refuses:
            raise RefusedError("home_assistant_error", "the database is locked")
        wanted = [name for name in asked.entity_ids if name not in self.excluded]
        start_us = max(asked.start_us, self.purged_until_us)
        end_us = min(asked.end_us, self.committed_until_us)
        return self.all.history(replace(asked, entity_ids=wanted, start_us=start_us, end_us=end_us))


class Pipeline:
    """Validates and writes what is sent, at once; loses what it is told to lose."""

    def __init__(self, done: MemoryDoneMarks) -> None:
        self.store = MemoryStore()
        self.index = MemoryWrittenIndex()
        self.done = done
        self.batches = 0
        self.loses: Callable[[int], bool] = lambda _: False

    def send(
        self, task: str, queue: str, body: bytes, *, task_id: str, shown: str, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        self.batches += 1
        if not self.loses(self.batches):
            raw = message.decode_raw(body)
            found = validate(raw, frozenset())
            self.write(found.batch)

    def close(self) -> None:
        pass

    def write(self, batch: EventBatch) -> None:
        places = sorted({event.entity_id or "" for event in batch.events})
        for event in batch.events:
            event.place = places.index(event.entity_id or "")
        batch.places = [Place(name, name.partition(".")[0]) for name in places]
        written = Writer(self.store, PointBuilder(StorageSettings()), self.index).write(batch)
        self.done.put(batch.journal, written.mark)


class Bench:
    """The demo home, and gaps of it that are filled."""

    def __init__(self, demo: RunningDemo) -> None:
        self.demo = demo
        self.home = demo.home
        self.keeps = Keeps(self.home.recorder)
        self.home.recorder = self.keeps
        self.gaps = MemoryGaps()
        self.done = MemoryDoneMarks()
        self.pipeline = Pipeline(self.done)
        self.said: list[DemoEvent] = []
        self.room = True
        self.answer_within_s = 10.0
        self.home.listen(self.said.append)
        self.settings = HomeAssistantSettings(url=demo.url, token=demo.token)

    def now_us(self) -> int:
        return self.home.clock.now_us()

    def live(self, seconds: float) -> tuple[int, int]:
        """Let things happen; return from when to when."""
        start_us = self.now_us()
        self.demo.control.call(lambda home: home.run_for(seconds))
        return start_us, self.now_us()

    def gap(self, start_us: int, end_us: int, **more: Any) -> GapRecord:
        """Tell of a gap; return it as it is kept."""
        told = replace(GapRecord(gap_id_of(HOME, "w", start_us), HOME, "w", "cut", start_us, end_us), **more)
        self.gaps.observe(told)
        return self.kept(told)

    def kept(self, gap: GapRecord) -> GapRecord:
        found = self.gaps.find(gap.gap_id)
        assert found is not None
        return found

    def step(self, gap: GapRecord, budget_s: float = 5.0) -> Step:
        """Work a step on a gap as a new process would: with what is kept, and nothing else."""
        with HomeAssistantClient(self.settings, answer_within_s=self.answer_within_s) as client:
            filler = GapFiller(
                client,
                self.pipeline.store,
                Shipment(HOME, "history-home", self.pipeline, self.done),
                series=lambda: {event.entity_id: {event.entity_id} for event in self.said if event.entity_id},
                room=lambda: self.room,
                save=self.gaps.save,
            )
            return filler.step(self.kept(gap), budget_s)

    def fill(self, gap: GapRecord, most_steps: int = 50) -> GapRecord:
        """Work until the gap has ended."""
        for _ in range(most_steps):
            if self.step(gap).again_in_s is None:
                return self.kept(gap)
        raise AssertionError(self.kept(gap))

    def skip_waiting(self, gap: GapRecord) -> None:
        """Make as if it had been waited for the recorder for long."""
        self.gaps.save(replace(self.kept(gap), progress={"stage": "waiting", "since_s": 1.0}))

    def truth(self, start_us: int, end_us: int, *entities: str) -> Counter[Change]:
        """Return the changes of that time as they were said."""
        found: Counter[Change] = Counter()
        for event in self.said:
            if event.event_type != "state_changed" or event.entity_id is None:
                continue
            at_us = event.new.updated_us if event.new else event.fired_us
            if start_us <= at_us < end_us and (not entities or event.entity_id in entities):
                found[event.entity_id, at_us, event.new.state if event.new else None] += 1
        return found

    def stored(self, start_us: int, end_us: int, **fields: Any) -> Counter[Change]:
        """Return the changes of that time that are stored."""
        return Counter(
            (str(values["entity_id"]), key[2] // 1000, None if "state" not in values else str(values["state"]))
            for key, values in self.pipeline.store.points.items()
            if start_us <= key[2] // 1000 < end_us and fields.items() <= values.items()
        )

    def hear(self, changes: Counter[Change]) -> None:
        """Store changes as if they had been heard live."""
        ordered = sorted(changes, key=lambda change: change[1])
        events = [self._live_event(slot, *change) for slot, change in enumerate(ordered)]
        self.pipeline.write(EventBatch("live", HOME, "websocket", "live", 1, len(events), events))

    def _live_event(self, slot: int, entity_id: str, at_us: int, state: str | None) -> Event:
        return Event(
            slot=slot,
            kind="state",
            event_type="state_changed",
            subject=entity_id,
            entity_id=entity_id,
            time_us=at_us,
            received_ns=at_us * 1000,
            source="websocket",
            identity=state_identity(state),
            state=state,
            context_id="C",
        )


@contextmanager
def running_bench(entities: int = 60, rate: float = 5.0) -> Iterator[Bench]:
    home = DemoHome(1, entities, rate=rate, clock=ManualClock(), commit_every_s=1 / SECOND_US)
    home.begin()
    home.run_for(5)
    with running_demo(home) as demo:
        bench = Bench(demo)
        bench.live(5)
        yield bench


def ended(gap: GapRecord) -> tuple[GapState, str]:
    """Return how a gap ended, and why so."""
    return gap.state, gap.why
