"""Sees to it that a listener's gaps are noted in the database, whatever ends or is away meanwhile; fills none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
import redis
import structlog

from ingestor import errors
from ingestor.intake.gaps.gap import FILLABLE, Gap
from ingestor.intake.gaps.memory import GapMemory
from ingestor.queue import names
from ingestor.queue.producer import TaskSender
from ingestor.queue.state import state_errors

_log: Final = structlog.get_logger(__name__)
#: A gap that is not noted is told again after so long.
_TELL_EVERY_S: Final = 10.0
#: What a damaged journal held is at most so old where nobody knows.
_UNKNOWN_US: Final = 24 * 3600 * 1_000_000
_EXPIRE_S: Final = 30 * 86_400


class GapKeeper:
    """Keeps gaps on the disk until the database has them. `beat` is called by one thread, the rest by any.

    `event_types` returns what the listener hears at present. `heard_by`: whose word on how far was heard counts, where
    several listeners of a home take turns; default: this listener's.
    """

    def __init__(
        self,
        home: str,
        listener: str,
        memory: GapMemory,
        *,
        tasks: Callable[[], TaskSender],
        state: redis.Redis[bytes],
        event_types: Callable[[], list[str]] = list,
        heard_by: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = home
        self._listener = listener
        self._memory = memory
        self._make_tasks = tasks
        self._tasks: TaskSender | None = None
        self._state = state
        self._event_types = event_types
        self._heard_by = heard_by
        self._clock = clock
        self._damage = 0
        self._written_us = 0
        self._mutex = threading.Lock()
        self._unkept: dict[int, dict[str, Any]] = {}
        self._told: dict[int, tuple[dict[str, Any], float]] = {}
        self.waiting = 0

    def before(self) -> Gap | None:
        """Return the gap that this run begins with: what the disk remembers, else what the state server does."""
        try:
            with state_errors():
                last = self._state.get(self._heard_key())
        except errors.IngestorError:
            last = None
        self._written_us = int(last) if last and last.isdigit() else 0
        found = self._memory.before()
        if self._heard_by is not None and self._written_us:
            return Gap("not_running", self._written_us)
        if found is not None or not self._written_us:
            return found
        # The journal's disk is another one than it was: whatever it held that was not written is gone with it.
        return Gap("journal_lost", self._written_us)

    def note(self, gap: Gap) -> None:
        """Keep a gap that began or is over; on the disk when this returns, unless that takes nothing."""
        record = {
            "home": self._home,
            "listener": self._listener,
            **gap.as_dict(),
            "event_types": [name for name in self._event_types() if name != FILLABLE],
        }
        with self._mutex:
            if self._memory.keep(record):
                self._unkept.pop(gap.start_us, None)
            else:
                self._unkept[gap.start_us] = record

    def beat(self, last_us: int, running: list[Gap], written_until_us: int) -> None:
        """Remember how far was heard and written, and tell of gaps that are not noted; 0 is for what is not known.

        Raises nothing that a peer may do to us.
        """
        self._memory.remember(last_us, running)
        with self._mutex:
            self._unkept = {start: record for start, record in self._unkept.items() if not self._memory.keep(record)}
            records = [*self._memory.kept(), *self._unkept.values()]
        self.waiting = len(records)
        self._written_us = written_until_us or self._written_us
        try:
            if written_until_us:
                with state_errors():
                    self._state.set(self._heard_key(), written_until_us, ex=_EXPIRE_S)
            for record in records:
                self._tell(record)
        except errors.IngestorError as error:
            _log.debug("gaps_wait", error=str(error))

    def note_damage(self, damage: int, now_us: int) -> None:
        """Note a gap where more of the journal is lost than before: all that was not known to be written then.

        `damage` counts what cannot be read any more. To be called before `beat`, with which that time moves on.
        """
        if damage > self._damage:
            self.note(Gap("journal_damaged", self._written_us or now_us - _UNKNOWN_US, now_us))
        self._damage = damage

    def _tell(self, record: dict[str, Any]) -> None:
        start_us = record["start_us"]
        gap_id = f"{self._home}:{self._listener}:{start_us}"
        with state_errors():
            noted = self._state.get(names.gap_noted_key(gap_id))
        if noted is not None and int(noted) == record["end_us"]:
            with self._mutex:
                self._memory.forget(record)
                self._unkept.pop(start_us, None)
            self._told.pop(start_us, None)
            return
        before, told_s = self._told.get(start_us, (None, float("-inf")))
        if before == record and self._clock() - told_s < _TELL_EVERY_S:
            return
        self._send(gap_id, record)
        self._told[start_us] = (record, self._clock())

    def _send(self, gap_id: str, record: dict[str, Any]) -> None:
        if self._tasks is None:
            self._tasks = self._make_tasks()
        self._tasks.send(
            names.NOTE_GAP,
            names.TaskType.HISTORY,
            msgspec.json.encode(record),
            task_id=f"{gap_id}-{time.time_ns()}",
            shown=f"gap of {self._home}: {record['reason']}",
        )

    def _heard_key(self) -> str:
        return f"ha_ingestor:heard:{self._home}:{self._heard_by or self._listener}"
