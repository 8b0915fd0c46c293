"""Sends quarantined pieces once more on the way of every event, and waits; the quarantine is their journal.

Each piece is a batch of its own, whose id is kept with the piece before it is sent. So whoever takes over after a kill
sends the same batch, what was written of it counts as its own, and nothing is stored or counted twice.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
import orjson

from ingestor import errors, metrics
from ingestor.events.event import Event, EventBatch
from ingestor.events.frame import Frame, RawBatch, new_batch_id
from ingestor.queue import message, names
from ingestor.queue.done import DoneMark, DoneMarks
from ingestor.queue.producer import TaskSender
from ingestor.storage.quarantine import Quarantine, Quarantined, Replayed

#: The source under which it is all counted.
SOURCE: Final = "replay"
#: Pieces under way at a time: live events come first.
_WINDOW: Final = 100
_RESEND_AFTER_S: Final = 15.0
_LOOK_EVERY_S: Final = 0.1
_COUNTER: Final = "ingestor_events_{}_total"


@dataclass(slots=True)
class Tally:
    """How far a replay has come: `left` went from the quarantine, `failed` stay, `waiting` nobody answered for.

    `elsewhere`: ended meanwhile by whoever else was at them, another replay or `drop`.
    """

    chosen: int = 0
    left: int = 0
    failed: int = 0
    waiting: int = 0
    elsewhere: int = 0
    events: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _UnderWay:
    piece: Quarantined
    home: str
    sent_s: float
    attempt: int = 1
    ended: dict[int, str] = field(default_factory=dict)
    stored: dict[int, set[int]] = field(default_factory=dict)

    def note(self, mark: DoneMark) -> bool:
        """Note which slots have ended; tell whether all have."""
        for hour in mark.stored:
            self.stored.setdefault(hour.hour_s, set()).update(hour.slots)
        for settled in mark.settled:
            self.ended.update((slot, settled.outcome) for slot in settled.slots)
        if mark.unread:
            self.ended[0] = "rejected"
        return len(self.ended) >= mark.size

    def result(self) -> Replayed:
        outcomes: dict[str, int] = {}
        for outcome in self.ended.values():
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        stored = {hour_s: len(slots) for hour_s, slots in self.stored.items()}
        return Replayed(self.piece.id, self.piece.replay_id, self.home, outcomes, stored)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A piece as the task that takes it up again."""

    task: str
    queue: str
    body: bytes
    home: str


class Replayer:
    """One run over chosen pieces. Whatever ends it, each piece is in the quarantine until its events are stored."""

    def __init__(
        self, quarantine: Quarantine, tasks: TaskSender, done: DoneMarks, *, resend_after_s: float = _RESEND_AFTER_S
    ) -> None:
        self._quarantine = quarantine
        self._tasks = tasks
        self._done = done
        self._resend_after_s = resend_after_s
        # Each run has a mailbox of its own: marks meant for one that was killed are not taken for these.
        self._run = new_batch_id()
        self._mailbox = f"replay-{self._run}"
        self._under_way: dict[str, _UnderWay] = {}
        self._ended: list[Replayed] = []
        self._page = 0
        self.tally = Tally()

    def run(self, ids: Sequence[int], *, patience_s: float, progress: Callable[[Tally], None]) -> Tally:
        """Send pieces and wait until each has ended, or nothing has for `patience_s`.

        Raises BrokerUnavailable, StateUnavailable and StoreUnavailable; a later run goes on.
        """
        todo, moved_s = deque(ids), time.monotonic()
        self.tally.chosen = len(ids)
        while todo or self._under_way:
            self._send(todo)
            ended = self._take_marks()
            if ended:
                moved_s = time.monotonic()
                progress(self.tally)
            elif time.monotonic() - moved_s > patience_s:
                break
            else:
                time.sleep(_LOOK_EVERY_S)
            self._resend()
        self.tally.waiting = len(self._under_way) + len(todo)
        return self.tally

    def _send(self, todo: deque[int]) -> None:
        room = min(_WINDOW - len(self._under_way), len(todo))
        if room <= 0:
            return
        chosen = [todo.popleft() for _ in range(room)]
        claimed = self._quarantine.claim(chosen)
        self.tally.elsewhere += room - len(claimed)
        for piece in claimed:
            self._send_one(_UnderWay(piece, piece.home, time.monotonic()))

    def _send_one(self, sent: _UnderWay) -> None:
        piece = sent.piece
        try:
            parcel = parcel_of(piece, self._mailbox)
        except errors.Rejected as error:
            self._refuse(sent, error)
            return
        sent.home = parcel.home
        self._under_way[piece.replay_id] = sent
        kwargs = {"attempt": sent.attempt, "journal": self._mailbox} if parcel.task == names.VALIDATE_BATCH else {}
        self._tasks.send(
            parcel.task,
            parcel.queue,
            parcel.body,
            task_id=f"{piece.replay_id}-{sent.attempt}",
            shown=f"batch {piece.replay_id}, from quarantine {piece.id}",
            kwargs=kwargs,
        )

    def _refuse(self, sent: _UnderWay, error: errors.Rejected) -> None:
        """Put back what cannot even be sent, with what is wrong now."""
        self._quarantine.put([_refused(sent.piece, error)])
        sent.ended[0] = "rejected"
        self._ended.append(sent.result())

    def _take_marks(self) -> int:
        for mark in self._done.take(self._mailbox):
            sent = self._under_way.get(mark.batch_id)
            if sent is not None and sent.note(mark):
                del self._under_way[mark.batch_id]
                self._ended.append(sent.result())
        if not self._ended:
            return 0
        results, self._ended = self._ended, []
        self._page += 1
        settled = self._quarantine.settle(results, self._run, self._page)
        # What another replay has settled is counted by that one, in the ledger and here.
        self.tally.elsewhere += len(results) - len(settled)
        for result in results:
            if result.id in settled:
                self._count(result)
        return len(results)

    def _count(self, result: Replayed) -> None:
        failed = bool(result.outcomes.get("rejected"))
        self.tally.failed += failed
        self.tally.left += not failed
        of = {"home": result.home, "source": SOURCE}
        metrics.counter(_COUNTER.format("received"), **of).inc(sum(result.outcomes.values()))
        for outcome, count in result.outcomes.items():
            metrics.counter(_COUNTER.format(outcome), **of).inc(count)
            self.tally.events[outcome] = self.tally.events.get(outcome, 0) + count

    def _resend(self) -> None:
        """Send again what was lost on the way: a queue loses, the quarantine does not."""
        now_s = time.monotonic()
        for sent in list(self._under_way.values()):
            if now_s - sent.sent_s > self._resend_after_s:
                sent.sent_s, sent.attempt = now_s, sent.attempt + 1
                self._send_one(sent)


def parcel_of(piece: Quarantined, mailbox: str) -> Parcel:
    """Return the task for a piece. Raises Rejected where its bytes do not suffice."""
    if not piece.whole:
        raise errors.Rejected(piece.reason, "only the beginning of it was kept: it cannot be replayed")
    if piece.form == "event":
        return _enrich(_event_batch(piece, mailbox))
    if piece.form == "message":
        return _message(piece, mailbox)
    frame = _frame(piece)
    return _validate(RawBatch(piece.replay_id, piece.home, SOURCE, mailbox, piece.received_ns, [frame]))


def _frame(piece: Quarantined) -> Frame:
    try:
        values = [piece.kind, piece.received_ns, b"", piece.topic, piece.shadowed, (), piece.uncertain]
        return msgspec.structs.replace(msgspec.convert(values, Frame), payload=piece.raw)
    except msgspec.ValidationError as error:
        raise errors.UndecodableFrame(piece.reason, f"nobody reads a frame of kind {piece.kind!r}") from error


def _event_batch(piece: Quarantined, mailbox: str) -> EventBatch:
    return EventBatch(piece.replay_id, piece.home, SOURCE, mailbox, piece.received_ns, 1, [_event(piece.raw)])


def _event(raw: bytes) -> Event:
    """Return the event that `write` put aside; fields that this version does not know are left out."""
    try:
        found: dict[str, Any] = orjson.loads(raw)
        known = {name: found[name] for name in Event.__struct_fields__ if name in found}
        event = Event(**{**known, "slot": 0, "place": -1, "notes": []})
        return msgspec.convert(msgspec.to_builtins(event), Event)
    except (TypeError, ValueError, msgspec.ValidationError) as error:
        raise errors.InvalidEvent("unreadable_event", f"{error}"[:200]) from error


def _message(piece: Quarantined, mailbox: str) -> Parcel:
    if piece.raw[:4] == message.EVENTS_HEAD:
        events = message.decode_events(piece.raw)
        found = [msgspec.structs.replace(event, slot=slot, place=-1) for slot, event in enumerate(events.events)]
        batch = (piece.replay_id, events.home, SOURCE, mailbox, events.opened_ns)
        return _enrich(EventBatch(*batch, len(found), found))
    raw = message.decode_raw(piece.raw)
    return _validate(msgspec.structs.replace(raw, batch_id=piece.replay_id, journal=mailbox, source=SOURCE))


def _validate(batch: RawBatch) -> Parcel:
    return Parcel(names.VALIDATE_BATCH, names.TaskType.VALIDATE, message.encode_raw(batch), batch.home)


def _enrich(batch: EventBatch) -> Parcel:
    return Parcel(names.ENRICH_BATCH, names.TaskType.ENRICH, message.encode_events(batch), batch.home)


def _refused(piece: Quarantined, error: errors.Rejected) -> Quarantined:
    """Return a piece as it fails now, under the batch that it was sent again as."""
    return replace(piece, batch_id=piece.replay_id, reason=error.reason, detail=error.detail)
