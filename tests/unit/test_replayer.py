"""Several replays at once: each piece ends once, and what is counted is what the ledger says."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ingestor import metrics
from ingestor.cli.quarantine_replay import sentence
from ingestor.events.event import Outcome, Settled
from ingestor.pipeline.replay import Replayer
from ingestor.queue import message
from ingestor.queue.done import DoneMark, MemoryDoneMarks
from ingestor.storage.database import open_database
from ingestor.storage.ledger_sql import SqlLedger
from ingestor.storage.quarantine import Quarantined
from ingestor.storage.quarantine_sql import SqlQuarantine

PIECES = 8
REJECTED = 3


class Workers:
    """Takes tasks; answers for all of them once the last piece was sent, and does something `first`."""

    def __init__(self, done: MemoryDoneMarks, first: Callable[[], object] = lambda: None) -> None:
        self._done = done
        self._first = first
        self._taken: list[Any] = []

    def send(
        self,
        task: str,
        queue: str,
        body: bytes,
        *,
        task_id: str,
        shown: str,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self._taken.append(message.decode_raw(body))
        if len(self._taken) < PIECES:
            return
        self._first()
        for batch in self._taken:
            outcome: Outcome = "rejected" if int(batch.frames[0].payload) < REJECTED else "written"
            self._done.put(batch.journal, DoneMark(batch.batch_id, "store", 1, [Settled(outcome, [0])]))

    def close(self) -> None:
        """Nothing is open."""


def received(home: str) -> float:
    found: float = metrics.counter("ingestor_events_received_total", home=home, source="replay")._value.get()
    return found


@pytest.fixture
def home() -> str:
    """A name whose counters nobody else counts on."""
    return f"replayed-{time.time_ns()}"


def test_two_replays_at_once_count_each_piece_once_in_metrics_and_ledger(tmp_path: Path, home: str) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'metadata.sqlite'}")
    quarantine, done = SqlQuarantine(engine), MemoryDoneMarks()
    quarantine.put(
        Quarantined(f"{n:026d}", 0, home, "mqtt", "decoder_failed", "", b"%d" % n, time.time_ns(), "topic", "a/b")
        for n in range(PIECES)
    )
    ids = sorted(piece.id for piece in quarantine.list())
    quicker = Replayer(quarantine, Workers(done), done)
    slower = Replayer(quarantine, Workers(done, lambda: run(quicker, ids)), done)

    run(slower, ids)

    (row,) = SqlLedger(engine).rows()
    assert received(home) == row.counts.received == PIECES
    assert (quicker.tally.left, quicker.tally.failed, quicker.tally.elsewhere) == (PIECES - REJECTED, REJECTED, 0)
    assert (slower.tally.left, slower.tally.failed, slower.tally.elsewhere) == (0, 0, PIECES)
    assert f"{PIECES} ended by another replay" in sentence(slower.tally)
    engine.dispose()


def run(replayer: Replayer, ids: list[int]) -> None:
    replayer.run(ids, patience_s=60, progress=lambda _: None)
