"""Every error the product raises on purpose, as one tree; knows nothing of who raises them.

IngestorError
├── Transient            try again: nothing is wrong with the data
│   ├── BrokerUnavailable
│   ├── StoreUnavailable
│   │   └── StoreDamaged
│   ├── StateUnavailable
│   ├── HomeAssistantUnavailable
│   │   └── ConnectionLost
│   ├── NobodyListens
│   ├── Overloaded       more is asked at once than we answer
│   ├── TookTooLong      an answer would take longer than we let it
│   └── JournalFull      the buffer is at its limit; its policy applies
├── Rejected             this piece of data cannot be used; it goes to quarantine
│   ├── UndecodableFrame
│   ├── InvalidEvent
│   ├── CommandRefused
│   └── UnreadableMessage
├── NotFound             what somebody asked for is not there
├── Unanswerable         each part of a question is in order, all of them together are not
├── Conflict             it cannot be done as things stand
├── Unauthenticated      nobody knows who asks
├── NotAllowed           who asks may not do this
└── Fatal                somebody must change something first; do not try again
    ├── InvalidSettings
    ├── AuthenticationRefused
    └── StoreRefused
"""

from __future__ import annotations


class IngestorError(Exception):
    """Something went wrong in HA-Ingestor."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or type(self).__name__).strip())


class Transient(IngestorError):
    """A peer is away or overloaded; the same call may succeed later."""

    def __init__(self, message: str | None = None, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BrokerUnavailable(Transient):
    """The task broker cannot be reached or refuses new messages."""


class StoreUnavailable(Transient):
    """The event store cannot be reached or is overloaded.

    `broken`: it was reached, and failed over what it was sent (HTTP 500); what else it is sent may pass.
    """

    def __init__(self, message: str | None = None, *, retry_after_s: float | None = None, broken: bool = False) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.broken = broken


class StoreDamaged(StoreUnavailable):
    """A database's file is damaged. No waiting cures it, but what is to be written waits until somebody has."""


class StateUnavailable(Transient):
    """The state server (Redis) cannot be reached or refuses writes."""


class HomeAssistantUnavailable(Transient):
    """Home Assistant cannot be reached or closed the connection."""


class ConnectionLost(HomeAssistantUnavailable):
    """A connection to Home Assistant ended though nobody asked for it; `reason` is a short stable name.

    `code` is the code that it closed with, 0 where it said none.
    """

    def __init__(self, reason: str, message: str | None = None, *, code: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = code


class NobodyListens(Transient):
    """No process of ours is there that would do it."""


class Overloaded(Transient):
    """More is asked at once than we answer; ask again in a moment."""


class TookTooLong(Transient):
    """The answer takes longer than we let one take: ask for less, a shorter time above all."""


class JournalFull(Transient):
    """The journal has reached its size limit, or its disk is full."""


class Rejected(IngestorError):
    """The data cannot be used as it is; it belongs in quarantine.

    `reason` is a short stable name to group by, `detail` a sentence a person understands,
    `raw` the bytes that it is about, as far as they are known.
    """

    def __init__(self, reason: str, detail: str = "", *, raw: bytes = b"") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.raw = raw

    def forget_where(self) -> None:
        """Let go of the frames that raised it: they hold the whole batch, and a list in one of them holds the error.

        Such a circle waits for the garbage collector; a worker at 1% rubbish held 60 MB of batches by it.
        """
        self.__traceback__ = self.__cause__ = self.__context__ = None


class UndecodableFrame(Rejected):
    """The bytes are not the format that their source promises."""


class InvalidEvent(Rejected):
    """The event misses a required field or breaks a limit."""


class CommandRefused(Rejected):
    """Home Assistant refused a command; `reason` is its error code, such as `unauthorized`."""


class UnreadableMessage(Rejected):
    """A queue message is of an unknown version or damaged."""


class NotFound(IngestorError):
    """What somebody asked for is not there; the message says what is."""


class Unanswerable(IngestorError):
    """What is asked for contradicts itself, or is more than one answer can hold."""


class Conflict(IngestorError):
    """It cannot be done as things stand: somebody else was quicker, or something stronger decides."""


class Unauthenticated(IngestorError):
    """A key is needed: `ha-ingestor key` shows it."""


class NotAllowed(IngestorError):
    """Who asks may not do this."""


class Fatal(IngestorError):
    """Trying again cannot help; somebody must change something first."""


class InvalidSettings(Fatal):
    """One or more settings are wrong; the message lists them all."""


class AuthenticationRefused(Fatal):
    """The peer refused our credentials; trying again may get this address banned."""


class StoreRefused(Fatal):
    """The store refuses our credentials, or the database named does not exist."""
