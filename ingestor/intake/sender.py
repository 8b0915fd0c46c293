"""From the journal to the queue, and back: sends, holds, sends again, and forgets what is done. Decodes nothing."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from ingestor import errors
from ingestor.events.event import Outcome
from ingestor.intake.book import Book
from ingestor.intake.bucket import HomeBucket
from ingestor.intake.flights import DoneBatch, Flight, Flights
from ingestor.intake.forgetting import Forgetting
from ingestor.intake.gate import Gate
from ingestor.intake.journal.journal import Journal
from ingestor.queue import names
from ingestor.queue.done import DoneMark, DoneMarks
from ingestor.queue.gauge import Gauge
from ingestor.queue.producer import TaskSender
from ingestor.settings import JournalSettings

_log: Final = structlog.get_logger(__name__)
_MEASURE_EVERY_S: Final = 0.1
#: A pass ends after that many batches, so that resending and stopping get their turn.
_MAX_SENT_IN_A_PASS: Final = 200
#: Batches under way at most: each has an entry in memory (about 1 KB).
_MAX_FLIGHTS: Final = 5_000
#: With more batches than this waiting in the journal, they are a backlog: queues are then filled to low water only.
_BACKLOG: Final = 40
_IDLE_S: Final = 0.25
_RESEND_CHECK_S: Final = 0.25
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0


@dataclass(slots=True)
class SenderStatus:
    """Counts of batches since the start; `held` says why none is sent, `done` counts slots by outcome.

    `may_per_s`: events a second that this listener may send now, where several homes share the queues.
    """

    sent: int = 0
    resent: int = 0
    done_batches: int = 0
    done: dict[Outcome, int] = field(default_factory=dict)
    held: str | None = None
    under_way: int = 0
    may_per_s: float | None = None
    last_error: str | None = None


class Sender:
    """Sends the journal's batches in order, as fast as the queues take them.

    One thread calls `step`, another `take_marks`, anyone `status`. `shown` tells people where batches come from;
    `bucket` holds back a home that takes more
    than its share, where several send. `clock` is monotonic seconds: no age here depends on the time of day.
    """

    def __init__(
        self,
        journal: Journal,
        flights: Flights,
        *,
        tasks: TaskSender,
        gauge: Gauge,
        gate: Gate,
        done: DoneMarks,
        settings: JournalSettings,
        shown: str,
        on_done: Callable[[DoneBatch], None] | None = None,
        book: Book | None = None,
        bucket: HomeBucket | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._flights = flights
        self._tasks = tasks
        self._gauge = gauge
        self._gate = gate
        self._bucket = bucket
        self._done = done
        self._resend_per_s = settings.resend_per_s
        self._newest_first = settings.backlog_order == "newest"
        self._shown = shown
        self._forgetting = Forgetting(journal, book, on_done, clock)
        self._clock = clock
        self._counts = SenderStatus()
        self._counting = threading.Lock()
        self._ahead: tuple[Flight, bytes] | None = None
        self._measured_s = self._resend_checked_s = float("-inf")
        self._resend_credit = 0.0
        self._retry_s = float("-inf")
        self._failures = 0
        self._recovering = journal.recovering and journal.unsent > 0
        if not self._recovering:
            flights.forget_early()

    # -- sending: its own thread -----------------------------------------------------------------------

    def step(self) -> float:
        """Send what may be sent now; return the seconds until there may be more to do, if nobody wakes us before."""
        now_s = self._clock()
        if now_s < self._retry_s:
            return self._retry_s - now_s
        try:
            pause_s = min(self._send_new(), self._send_lost())
        except errors.BrokerUnavailable as error:
            return self._back_off(error)
        if self._failures:
            _log.info("broker_back", journal=self._journal.name, failures=self._failures)
        self._failures, self._counts.last_error = 0, None
        return pause_s

    def _send_new(self) -> float:
        for _ in range(_MAX_SENT_IN_A_PASS):
            if len(self._flights) >= _MAX_FLIGHTS or not self._has_next():
                return _IDLE_S
            if not self._may_send():
                return _MEASURE_EVERY_S
            self._send_next()
        return 0.0

    def _has_next(self) -> bool:
        """See to it that the next batch is at hand, if there is one; done ones of earlier runs are passed over."""
        while self._ahead is None:
            # A few batches are no backlog: they go in order, whatever the setting.
            given = self._journal.next_unsent(newest=self._newest_first and self._journal.unsent > _BACKLOG)
            if given is None:
                self._end_recovery()
                return False
            entry, message = given
            flight = self._flights.start(entry)
            # Marks that an earlier run did not live to see: the batch may be done already.
            if not any(self._settle(mark) for mark in self._flights.take_early(entry.batch_id)):
                self._ahead = (flight, message)
            if not self._journal.recovering:
                self._end_recovery()
        return True

    def _end_recovery(self) -> None:
        if self._recovering:
            self._recovering = False
            self._flights.forget_early()

    def _may_send(self) -> bool:
        if self._clock() - self._measured_s >= _MEASURE_EVERY_S:
            self._measure()
        if self._bucket is not None and not self._bucket.has_room():
            return False
        return self._gate.room(backlog=self._journal.unsent > _BACKLOG) > 0

    def _measure(self) -> None:
        was_held = self._gate.held
        self._gate.measured(self._gauge.read())
        self._measured_s = self._clock()
        if self._bucket is not None:
            self._bucket.measured(self._gate.deepest)
        if bool(was_held) != bool(self._gate.held):
            _log.warning("sending_held" if self._gate.held else "sending_again", why=self._gate.held or was_held)

    def _send_next(self) -> None:
        assert self._ahead is not None  # noqa: S101 -- `_has_next` said so; for the type checker
        flight, message = self._ahead
        self._send(flight, message)
        self._ahead = None
        self._counts.sent += 1

    def _send_lost(self) -> float:
        """Send again what the queue has lost, at a rate that leaves room for what happens now."""
        now_s = self._clock()
        since_s = now_s - self._resend_checked_s
        if since_s < _RESEND_CHECK_S or not len(self._flights):
            return _IDLE_S
        self._resend_checked_s = now_s
        self._resend_credit = min(self._resend_credit + since_s * self._resend_per_s, max(1.0, self._resend_per_s))
        if not self._flights.due(queue_empty=True, limit=1):
            return _RESEND_CHECK_S  # none is old enough
        self._measure()
        due = self._flights.due(queue_empty=self._gate.queue_empty, limit=int(self._resend_credit))
        for flight in due:
            if self._gate.room(backlog=False) and (self._ahead is None or flight is not self._ahead[0]):
                self._resend(flight)
        return _RESEND_CHECK_S

    def _resend(self, flight: Flight) -> None:
        message = self._journal.read(flight.entry)
        if message is None:
            # Either done this very moment, or its place on the disk is damaged.
            self._flights.drop(flight)
            self._forgetting.damaged(flight.entry)
            return
        self._flights.again(flight)
        try:
            self._send(flight, message)
        except errors.BrokerUnavailable:
            self._flights.not_again(flight)
            raise
        self._resend_credit -= 1
        self._counts.resent += 1
        _log.info("batch_sent_again", batch=flight.entry.batch_id, attempt=flight.attempt, journal=self._journal.name)

    def _send(self, flight: Flight, message: bytes) -> None:
        entry = flight.entry
        self._flights.touch(flight)
        self._tasks.send(
            names.VALIDATE_BATCH,
            names.TaskType.VALIDATE,
            message,
            task_id=f"{entry.batch_id}-{flight.attempt}",
            shown=f"batch {entry.batch_id}, {entry.frames} frames, {self._shown}, attempt {flight.attempt}",
            kwargs={"attempt": flight.attempt, "journal": self._journal.name},
        )
        self._gate.sent(len(message))
        if self._bucket is not None:
            self._bucket.sent(entry.frames)

    def _back_off(self, error: errors.BrokerUnavailable) -> float:
        if not self._failures:
            _log.warning("broker_away", journal=self._journal.name, error=str(error))
        self._counts.last_error = str(error)
        longest_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self._failures, 10))
        self._failures += 1
        pause_s = random.uniform(longest_s / 2, longest_s)  # noqa: S311 -- spreads listeners, guards nothing
        self._retry_s = self._clock() + pause_s
        self._measured_s = float("-inf")
        return pause_s

    # -- done marks: the other thread ------------------------------------------------------------------

    def take_marks(self) -> int:
        """Take marks and settle their batches; return how many there were. Raises StateUnavailable."""
        marks = self._done.take(self._journal.name)
        for mark in marks:
            self._settle(mark)
        return len(marks)

    def _settle(self, mark: DoneMark) -> bool:
        """Note a mark; forget the batch if this completes it."""
        completed = self._flights.mark(mark)
        if completed is None:
            return False
        entry, batch = completed
        with self._counting:
            self._counts.done_batches += 1
            for outcome, count in batch.counts.items():
                self._counts.done[outcome] = self._counts.done.get(outcome, 0) + count
        self._forgetting.done(entry, batch)
        return True

    def let_go(self, *, at_once: bool = False) -> None:
        """Forget what is done and counted. Does so a little later than `take_marks`, for many batches together."""
        self._forgetting.flush(at_once=at_once)

    @property
    def under_way(self) -> int:
        """Batches that were sent and are not done."""
        return len(self._flights)

    @property
    def waiting(self) -> int:
        """Batches that were never sent in this run."""
        return self._journal.unsent + (self._ahead is not None)

    def status(self) -> SenderStatus:
        """Return the counts so far."""
        may_per_s = round(self._bucket.per_s, 1) if self._bucket else None
        with self._counting:
            return replace(
                self._counts,
                done=dict(self._counts.done),
                held=self._gate.held,
                under_way=len(self._flights),
                may_per_s=may_per_s,
            )

    def close(self) -> None:
        """Give back connections."""
        self.let_go(at_once=True)
        self._tasks.close()
        self._gauge.close()
