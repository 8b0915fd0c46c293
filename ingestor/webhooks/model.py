"""What a webhook is, and what is delivered to it: values alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ingestor.live.envelope import Form
from ingestor.live.filter import LiveFilter

#: Most messages in one delivery, and the longest time that one waits for others to go with it (s).
MOST_IN_BATCH: Final = 1000
LONGEST_WAIT_S: Final = 60.0
_EVERYTHING: Final = LiveFilter()
#: A delivery that is no message of the live channel.
PING: Final = "ping"
GAP: Final = "gap"


class DeliveryState(StrEnum):
    """How far a delivery is; `dead` ones were given up, and can be replayed."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a webhook is told: which messages, in which form, how many in one delivery.

    `batch`: most messages in a delivery; above 1 a body has a list of them, and one waits up to `batch_wait_s` for
    others. `late`: also what happened more than 60 s before it was told.
    """

    messages: LiveFilter = _EVERYTHING
    form: Form = "native"
    batch: int = 1
    batch_wait_s: float = 1.0
    late: bool = False


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook. Times are Unix microseconds; 0 where there is none.

    `cursor`: how far its messages have been taken from the live channel. `failures`: tries that failed since the last
    one that did not; until `paused_until_us` nothing but a ping is sent. `why` it was disabled, if not by hand.
    """

    hook_id: str
    url: str
    wanted: Wanted
    description: str = ""
    enabled: bool = True
    why: str = ""
    made_us: int = 0
    #: Changes whenever somebody changes what is delivered, or where.
    version: int = 1
    cursor: str = ""
    failures: int = 0
    paused_until_us: int = 0
    last_error: str = ""
    last_taken_us: int = 0
    delivered: int = 0
    gaps: int = 0
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """What lies there for a webhook."""

    waiting: int = 0
    waiting_bytes: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery that is to be made: its id is the same however often it is made from the same messages."""

    delivery_id: str
    kind: str
    messages: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery, and how it is. `body` is empty where it was delivered, or where it was not asked for."""

    hook_id: str
    delivery_id: str
    seq: int
    kind: str
    messages: int
    state: DeliveryState
    made_us: int
    next_us: int
    ended_us: int = 0
    tries: int = 0
    status: int = 0
    error: str = ""
    size: int = 0
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a try: the status, or 0 and why there was none."""

    status: int = 0
    error: str = ""
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a webhook's deliveries are signed with: the newest first; each former one holds on for a while.

    `older`: those before `previous`, each with its end.
    """

    current: str
    previous: str = ""
    previous_until_us: int = 0
    older: tuple[tuple[str, int], ...] = ()

    def valid(self, now_us: int) -> tuple[str, ...]:
        """Return those that are signed with now."""
        return (self.current, *(secret for secret, _ in self.former(now_us)))

    def former(self, now_us: int) -> tuple[tuple[str, int], ...]:
        """Return those that hold besides the newest, each with its end."""
        every = ((self.previous, self.previous_until_us), *self.older)
        return tuple((secret, until_us) for secret, until_us in every if secret and now_us < until_us)
