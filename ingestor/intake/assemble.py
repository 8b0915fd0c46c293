"""Putting the intake of one listener together: batcher, journal, sender and their threads; decides nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import structlog

from ingestor import errors
from ingestor.intake.batcher import Batcher
from ingestor.intake.book import Book
from ingestor.intake.bucket import HomeBucket
from ingestor.intake.flights import DoneBatch, Flights
from ingestor.intake.gate import Gate
from ingestor.intake.journal.journal import Journal
from ingestor.intake.loop import Loop
from ingestor.intake.posting import Posting
from ingestor.intake.sender import Sender
from ingestor.intake.unjournaled import Forgetful
from ingestor.queue import message, names
from ingestor.queue.app import make_app
from ingestor.queue.done import DoneMarks
from ingestor.queue.done_redis import RedisDoneMarks
from ingestor.queue.gauge import BrokerGauge, Gauge
from ingestor.queue.ledger_post import LedgerPost, RedisLedgerPost
from ingestor.queue.producer import Producer, TaskSender
from ingestor.queue.state import connect_state
from ingestor.queue.tracing import SpanMaker, TracedSender, open_spans
from ingestor.settings import Settings

_log: Final = structlog.get_logger(__name__)
#: The store that every batch must be done for (the writer's name for it).
TARGETS: Final = ("store",)
#: A broker redelivers only what it got no acknowledgement for: the newest. Half the packet ids there are, so that
#: an id that has come round again is not taken for the older message (rule 12).
_MAX_DELIVERIES: Final = 30_000
_MAX_FRAMES_LOOKED_AT: Final = 100_000
_MARKS_EVERY_S: Final = 0.1
#: Batches under way when all is well: 40 a second for 0.1 s, and some more until their marks are read.
_USUAL_BATCHES: Final = 6
#: So many that only the largest batches help.
_MANY_BATCHES: Final = 18
_STATE_AWAY_S: Final = 1.0
_LAST_SENDING_S: Final = 2.0
_STOP_S: Final = 6.0


class Intake:
    """What a listener hands its frames to. `sink.add` takes them; `close` leaves nothing half done."""

    def __init__(
        self,
        settings: Settings,
        home: str,
        source: str,
        journal: Journal,
        sender: Sender,
        *,
        book: Book | None = None,
        post: LedgerPost | None = None,
    ) -> None:
        self._journal = journal
        self._sender = sender
        self._source = source
        self._book = book
        self._posting = Posting(book, post, lambda: not journal.status().pending_batches) if book and post else None
        self._deliveries = _read_deliveries(journal) if source == "mqtt" else set()
        self._sending = Loop("sender", sender.step)
        self._settling = Loop("done-marks", self._take_marks)
        self._state_error: str | None = None
        self.sink = Batcher(
            home, source, journal, settings.batch, on_group=self._sending.wake, backlog=self._backlog, book=book
        )

    def _backlog(self) -> float:
        over = self._sender.under_way - _USUAL_BATCHES
        return min(1.0, max(0.0, over / (_MANY_BATCHES - _USUAL_BATCHES)))

    def start(self) -> None:
        """Begin; first take the marks that were left for an earlier run, so that what is done is not sent again."""
        while self._take_marks() == 0.0:
            pass
        self.sink.start()
        self._sending.start()
        self._settling.start()

    def known_deliveries(self) -> set[tuple[int, int]]:
        """Return (packet id, payload hash) of the newest MQTT messages that the journal held at the start."""
        return self._deliveries

    def status(self) -> dict[str, Any]:
        """Return figures for people and for metrics, as plain values."""
        journal, sender, batcher = self._journal.status(), self._sender.status(), self.sink.status()
        oldest_s = max(0.0, (time.time_ns() - journal.oldest_ns) / 1e9) if journal.oldest_ns else 0.0
        return {
            "journal": self._journal.name,
            **dataclasses.asdict(journal),
            "oldest_pending_s": round(oldest_s, 3),
            "frames": batcher.frames,
            "batches": batcher.batches,
            "journaled_frames": batcher.journaled,
            "syncs": batcher.groups,
            "waiting_bytes": batcher.waiting_bytes,
            "refused_frames": batcher.refused,
            "lost_frames": batcher.lost,
            "sent": sender.sent,
            "resent": sender.resent,
            "under_way": sender.under_way,
            "held": sender.held,
            "may_per_s": sender.may_per_s,
            "done_batches": sender.done_batches,
            "done": sender.done,
            "ledger_waiting_s": round(self._posting.waiting_s(), 1) if self._posting else 0.0,
            "last_error": batcher.last_error or sender.last_error or self._state_error or self._book_error(),
            **({"counts": self._book.ever()} if self._book else {}),
        }

    def close(self) -> None:
        """Journal what is there, try for a moment to send it, stop."""
        self.sink.close()
        until_s = time.monotonic() + _LAST_SENDING_S
        while self._sender.waiting and self._sender.status().last_error is None and time.monotonic() < until_s:
            self._sending.wake()
            time.sleep(0.02)
        self._settling.stop(_STOP_S)
        self._sending.stop(_STOP_S)
        self._sender.close()
        self._close_book()
        self._journal.close()

    def _close_book(self) -> None:
        if self._posting is not None:
            with contextlib.suppress(errors.IngestorError):
                self._posting.step(at_once=True)
        if self._book is not None:
            self._book.close()

    def _book_error(self) -> str | None:
        return self._book.last_error if self._book else None

    def _take_marks(self) -> float:
        try:
            taken = self._sender.take_marks()
            if self._posting is not None:
                self._posting.step()
        except (errors.StateUnavailable, errors.AuthenticationRefused) as error:
            # Nothing is forgotten meanwhile, and what is sent again does no harm.
            if self._state_error is None:
                _log.warning("state_away", journal=self._journal.name, error=str(error))
            self._state_error = str(error)
            return _STATE_AWAY_S
        finally:
            self._sender.let_go()
        self._state_error = None
        return 0.0 if taken else _MARKS_EVERY_S


@contextlib.contextmanager
def open_intake(
    settings: Settings,
    home: str,
    listener: str,
    source: str,
    *,
    on_done: Callable[[DoneBatch], None] | None = None,
) -> Iterator[Intake]:
    """Open the intake of a listener on the configured broker and state server. Raises Fatal where it runs already."""
    app = make_app(settings.broker_url)
    state = connect_state(settings.state_url)
    spans = open_spans(settings.tracing)
    try:
        with intake_on(
            settings,
            home,
            listener,
            source,
            tasks=TracedSender(Producer(app), spans) if spans else Producer(app),
            gauge=BrokerGauge(app, names.PIPELINE),
            done=RedisDoneMarks(state),
            post=RedisLedgerPost(state),
            on_done=_traced(on_done, spans) if spans else on_done,
        ) as intake:
            yield intake
    finally:
        if spans is not None:
            spans.flush()


def _traced(on_done: Callable[[DoneBatch], None] | None, spans: SpanMaker) -> Callable[[DoneBatch], None]:
    """Return what makes a span of the whole way of each batch, too."""

    def done(batch: DoneBatch) -> None:
        told: dict[str, Any] = {"home": batch.home, "source": batch.source, "events": batch.size}
        told.update((str(outcome), number) for outcome, number in batch.counts.items())
        spans.way(batch.batch_id, batch.opened_ns, time.time_ns(), told)
        if on_done is not None:
            on_done(batch)

    return done


@contextlib.contextmanager
def intake_on(
    settings: Settings,
    home: str,
    listener: str,
    source: str,
    *,
    tasks: TaskSender,
    gauge: Gauge,
    done: DoneMarks,
    post: LedgerPost | None = None,
    on_done: Callable[[DoneBatch], None] | None = None,
) -> Iterator[Intake]:
    """Open an intake on the adapters given."""
    name = f"{home}-{listener}"
    if not settings.journal.enabled:
        _log.warning("journal_is_off", journal=name)
        tasks = done = Forgetful(tasks, done, *TARGETS)
    journal = Journal(settings.data_dir / "journal" / name, settings.journal)
    flights = Flights(
        home, source, resend_after_s=settings.journal.resend_after_s, targets=TARGETS, clock=time.monotonic
    )
    # Without a journal nothing is known of what the queue loses: a ledger would not tell the truth.
    book = _open_book(journal, settings, home, source) if settings.journal.enabled else None
    sender = Sender(
        journal,
        flights,
        tasks=tasks,
        gauge=gauge,
        gate=Gate(settings.queue, settings.broker.hold_at),
        done=done,
        settings=settings.journal,
        shown=f"{source} of {home}",
        on_done=on_done,
        book=book,
        bucket=_open_bucket(settings),
    )
    intake = Intake(settings, home, source, journal, sender, book=book, post=post)
    intake.start()
    try:
        yield intake
    finally:
        intake.close()


def _open_bucket(settings: Settings) -> HomeBucket | None:
    """Return the bucket of a home among others; one that is alone may send what the workers take."""
    limit = settings.queue.home_events_per_s
    return HomeBucket(limit) if limit or len(settings.all_homes()) > 1 else None


def _open_book(journal: Journal, settings: Settings, home: str, source: str) -> Book:
    book = Book(settings.data_dir / "journal" / journal.name, home, source)
    book.compare(journal.held())
    return book


def _read_deliveries(journal: Journal) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    frames = 0
    for encoded in journal.newest_messages():
        try:
            batch = message.decode_raw(encoded)
        except errors.Rejected:
            continue  # `validate` will say so
        frames += len(batch.frames)
        found.update(delivery for frame in batch.frames for delivery in frame.deliveries)
        if len(found) >= _MAX_DELIVERIES or frames >= _MAX_FRAMES_LOOKED_AT:
            break
    return found
