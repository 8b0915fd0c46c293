"""Batches between queue and store: which slots are done, which batch has to be sent again; no I/O, no thread.

Done is a set of (slot, target): marks may come in parts, late, twice, of several attempts, or after the batch was
forgotten. All of that is harmless here (rule 14).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, get_args

from ingestor.events.event import Outcome
from ingestor.intake.journal.entry import Entry
from ingestor.queue.done import DoneMark

#: More slots than any batch can have: a damaged mark must not ask for the memory.
_MAX_SLOTS: Final = 4_000_000
#: Workers of one queue work side by side: a batch counts as passed when a later one was done before that long.
_PASSED_FOR_S: Final = 2.5
#: A batch that does not come back is sent again ever more seldom, up to this many times the first pause.
_MAX_PATIENCE: Final = 4
#: Marks kept of batches that an earlier run sent and this one has not come to yet.
_MAX_EARLY: Final = 20_000
_OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class DoneBatch:
    """A batch of which every slot is done: how many ended in which way. `lag_ns` is receipt to the store's yes.

    `size` is the number of its events as `validate` formed them; `stored` counts new points by hour (Unix seconds);
    `opened_ns` is when its first frame came (Unix).
    """

    batch_id: str
    home: str
    source: str
    counts: dict[Outcome, int]
    lag_ns: int
    size: int = 0
    stored: dict[int, int] = field(default_factory=dict)
    opened_ns: int = 0


@dataclass(slots=True, eq=False)
class Flight:
    """A batch that was sent. `first_order` and `order` number its first and its last sending among all sendings."""

    entry: Entry
    attempt: int
    sent_s: float
    first_order: int
    order: int
    size: int = -1
    lag_ns: int = 0
    ended: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(_OUTCOMES, 0))
    by_target: dict[str, int] = field(default_factory=dict)
    stored: dict[int, int] = field(default_factory=dict)
    unread: bool = False

    def note(self, mark: DoneMark) -> None:
        """Add a mark's slots; a slot counts with its first outcome, but "written" wins over "duplicate"."""
        if mark.size != self.size:
            # Another version of the program cut the batch into other slots: what it said before means nothing.
            self.size = mark.size
            self.ended = dict.fromkeys(_OUTCOMES, 0)
            self.by_target = {}
            self.stored = {}
        self.unread = mark.unread
        for hour in mark.stored:
            self.stored[hour.hour_s] = self.stored.get(hour.hour_s, 0) | _mask(hour.slots, mark.size)
        for settled in mark.settled:
            slots = _mask(settled.slots, mark.size)
            self.by_target[mark.target] = self.by_target.get(mark.target, 0) | slots
            known = self.ended["written"] | self.ended["duplicate"] | self.ended["rejected"] | self.ended["filtered"]
            if settled.outcome == "written":
                known &= ~self.ended["duplicate"]
                self.ended["duplicate"] &= ~slots
            self.ended[settled.outcome] |= slots & ~known
        self.lag_ns = max(self.lag_ns, mark.lag_ns)

    def is_done(self, targets: Iterable[str]) -> bool:
        """Tell whether every slot is done for every target."""
        full = (1 << self.size) - 1 if self.size >= 0 else -1
        return self.size == 0 or all(self.by_target.get(target, 0) == full for target in targets)

    def counts(self) -> dict[Outcome, int]:
        """Return how many slots ended in which way; of a batch that nobody could read a frame counts as an event."""
        counts = {outcome: slots.bit_count() for outcome, slots in self.ended.items()}
        return {**counts, "rejected": self.entry.frames} if self.unread and not self.size else counts

    def formed(self) -> int:
        """Return how many events there were."""
        return self.entry.frames if self.unread and not self.size else self.size

    def stored_by_hour(self) -> dict[int, int]:
        """Return how many new points there are, by the hour of their own time."""
        return {hour_s: (slots & self.ended["written"]).bit_count() for hour_s, slots in self.stored.items()}


class _Passed:
    """How far the queue has come: the latest sending of which the batch is done, now and some time ago."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._now = self._before = self._long_before = 0
        self._turned_s = clock()

    def note(self, order: int) -> None:
        """Note that a batch of that sending is done."""
        self._turn()
        self._now = max(self._now, order)

    def for_some_time(self) -> int:
        """Return how far the queue had come one to two turns ago."""
        self._turn()
        return self._long_before

    def _turn(self) -> None:
        turns = int((self._clock() - self._turned_s) / _PASSED_FOR_S)
        if turns:
            self._long_before = self._before if turns == 1 else self._now
            self._before = self._now
            self._turned_s += turns * _PASSED_FOR_S


class Flights:
    """The batches under way of one journal; safe to use from several threads."""

    def __init__(
        self, home: str, source: str, *, resend_after_s: float, targets: Iterable[str], clock: Callable[[], float]
    ) -> None:
        self._home = home
        self._source = source
        self._resend_after_s = resend_after_s
        self._targets = frozenset(targets)
        self._clock = clock
        self._mutex = threading.Lock()
        self._flights: dict[str, Flight] = {}
        self._early: dict[str, list[DoneMark]] = {}
        self._early_room = _MAX_EARLY
        self._order = 0
        self._passed = _Passed(clock)

    def __len__(self) -> int:
        return len(self._flights)

    def start(self, entry: Entry) -> Flight:
        """Note a batch that is about to be sent for the first time: its marks may come before `send` returns."""
        with self._mutex:
            self._order += 1
            flight = Flight(entry, 1, self._clock(), self._order, self._order)
            self._flights[entry.batch_id] = flight
            return flight

    def again(self, flight: Flight) -> None:
        """Note that a batch is about to be sent once more."""
        with self._mutex:
            self._order += 1
            flight.order = self._order
            flight.attempt += 1
            flight.sent_s = self._clock()

    def not_again(self, flight: Flight) -> None:
        """Take back `again`: it could not be sent."""
        with self._mutex:
            flight.attempt -= 1
            flight.sent_s = float("-inf")

    def touch(self, flight: Flight) -> None:
        """Note that a batch is being sent at this moment."""
        flight.sent_s = self._clock()

    def drop(self, flight: Flight) -> None:
        """Forget a batch that cannot be sent any more."""
        with self._mutex:
            self._flights.pop(flight.entry.batch_id, None)

    def take_early(self, batch_id: str) -> list[DoneMark]:
        """Return the marks that came before the batch was sent in this run."""
        with self._mutex:
            return self._early.pop(batch_id, [])

    def forget_early(self) -> None:
        """Keep no early marks any more: everything of earlier runs has been sent."""
        with self._mutex:
            self._early_room = 0
            self._early.clear()

    def mark(self, mark: DoneMark) -> tuple[Entry, DoneBatch] | None:
        """Note a done mark; return the batch if this completes it. A mark of an unknown batch is ignored."""
        if not 0 <= mark.size <= _MAX_SLOTS or mark.target not in self._targets:
            return None
        with self._mutex:
            flight = self._flights.get(mark.batch_id)
            if flight is None:
                self._keep_early(mark)
                return None
            flight.note(mark)
            if not flight.is_done(self._targets):
                flight.sent_s = self._clock()  # a sign of life: the rest of it is under way
                return None
            del self._flights[mark.batch_id]
            # The first sending: the mark may be an answer to that one, and the queue be no further.
            self._passed.note(flight.first_order)
            return flight.entry, self._done(flight)

    def _done(self, flight: Flight) -> DoneBatch:
        return DoneBatch(
            flight.entry.batch_id,
            self._home,
            self._source,
            flight.counts(),
            flight.lag_ns,
            flight.formed(),
            flight.stored_by_hour(),
            flight.entry.opened_ns,
        )

    def due(self, *, queue_empty: bool, limit: int) -> list[Flight]:
        """Return batches to send again, oldest first: those that the queue has lost, as far as anyone can tell.

        A batch that the queue has not come to yet is not lost, however long it waits (rule 15): it counts only
        when one that was sent later is done for some time, or when no queue holds anything.
        """
        now_s = self._clock()
        with self._mutex:
            passed = self._passed.for_some_time()
            found: list[Flight] = []
            for flight in self._flights.values():
                if len(found) >= limit:
                    break
                if (queue_empty or flight.order < passed) and now_s - flight.sent_s >= self._patience_s(flight):
                    found.append(flight)
            return found

    def _keep_early(self, mark: DoneMark) -> None:
        if self._early_room > 0:
            self._early_room -= 1
            self._early.setdefault(mark.batch_id, []).append(mark)

    def _patience_s(self, flight: Flight) -> float:
        return self._resend_after_s * min(1 << (flight.attempt - 1), _MAX_PATIENCE)


def _mask(slots: Iterable[int], size: int) -> int:
    mask = 0
    for slot in slots:
        if 0 <= slot < size:
            mask |= 1 << slot
    return mask
