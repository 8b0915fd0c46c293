"""The quarantine port: where a piece of data rests that could not be used, with the reason and the raw bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol

import orjson

#: How `raw` is to be read: a listener's frame, an event as it was decoded, a message of the queue.
Form = Literal["frame", "event", "message"]
#: Most pieces, and most bytes of their payloads, that are kept where no setting says otherwise.
MAX_PIECES: Final = 100_000
MAX_BYTES: Final = 256 * 1024 * 1024
#: A larger payload is kept by its beginning and its hash.
MAX_PIECE_BYTES: Final = 1024 * 1024
#: What of an event changes though it is the same event: where it stood in a batch, and when that came.
_PASSING: Final = ("slot", "received_ns", "place", "notes")
_CAUSE_LENGTH: Final = 8
#: Longest names and topics that are kept (characters): whoever publishes chooses a topic, and the limit of bytes is for
#: payloads. MQTT itself allows 65,535.
MAX_NAME: Final = 200
MAX_TOPIC: Final = 1000
MAX_DETAIL: Final = 2000
#: What the columns hold.
_MAX_BATCH_ID: Final = 64
_MAX_SLOT: Final = 2**31 - 1
_LATEST_NS: Final = 2**63 - 1
_SUBJECT_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One rejected piece: `raw` is the payload as received (or the part of it that belongs to the event).

    (`batch_id`, `slot`) is its identity: putting the same piece in twice leaves one. The same bytes refused for the
    same reason are one piece, too, that was seen `count` times. What the quarantine itself knows does not count when
    two are compared: `cause` groups pieces, `replay_id` is the batch that it was sent again as.
    """

    batch_id: str
    slot: int
    home: str
    source: str
    reason: str
    detail: str
    raw: bytes
    received_ns: int
    kind: str = ""
    topic: str = ""
    form: Form = "frame"
    shadowed: bool = False
    uncertain: bool = False
    whole: bool = field(default=True, compare=False)
    id: int = field(default=0, compare=False)
    cause: str = field(default="", compare=False)
    subject: str = field(default="", compare=False)
    count: int = field(default=1, compare=False)
    last_seen_ns: int = field(default=0, compare=False)
    attempts: int = field(default=0, compare=False)
    replay_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Cause:
    """Pieces that were refused for the same reason on behalf of the same entity or topic."""

    cause: str
    home: str
    reason: str
    subject: str
    pieces: int
    seen: int
    bytes: int
    first_seen_ns: int
    last_seen_ns: int
    example_id: int
    example: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which pieces a command is about: all that fit what is given."""

    ids: tuple[int, ...] = ()
    cause: str = ""
    not_seen_since_ns: int = 0


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a piece that was sent again: events by outcome, new points by hour of their own time."""

    id: int
    replay_id: str
    home: str
    outcomes: Mapping[str, int]
    stored: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Totals:
    """What is kept, and what the limits have cost so far."""

    pieces: int
    bytes: int
    evicted: int


class Quarantine(Protocol):
    """Keeps rejected pieces, bounded in number, bytes and age; what the bounds cost is counted.

    Every call may raise StoreUnavailable.
    """

    def put(self, pieces: Iterable[Quarantined]) -> None:
        """Keep pieces; durable on return. A piece that was sent again and fails again stays the piece it was."""
        ...

    def list(self, limit: int = 100, chosen: Chosen = ...) -> Sequence[Quarantined]:
        """Return pieces, newest first."""
        ...

    def causes(self, limit: int = 100) -> Sequence[Cause]:
        """Return the causes, that with most pieces first."""
        ...

    def reasons(self) -> dict[str, int]:
        """Return how many pieces there are for each reason."""
        ...

    def count(self) -> int:
        """Return how many pieces are kept."""
        ...

    def totals(self) -> Totals:
        """Return what is kept and what the limits have cost."""
        ...

    def drop(self, chosen: Chosen) -> int:
        """Delete pieces for good; return how many."""
        ...

    def expire(self, before_ns: int) -> int:
        """Delete what was not seen since; counted as the limits' doing. Return how many."""
        ...

    def claim(self, ids: Sequence[int]) -> Sequence[Quarantined]:
        """Give each piece the batch that it is sent again as, unless it has one; return those that are there."""
        ...

    def settle(self, results: Sequence[Replayed], book: str, page: int) -> frozenset[int]:
        """Let go what succeeded, keep what was rejected, and count both in the ledger, all at once.

        A piece that is not under way as that batch any more is left alone: another replay has settled and counted it.
        Returns the ids of those that were.
        """
        ...


def clean(piece: Quarantined, max_piece_bytes: int = MAX_PIECE_BYTES) -> Quarantined:
    """Return a piece that any database takes: text without NUL and lone surrogates, the payload within its limit."""
    detail, raw, subject = piece.detail, piece.raw, piece.subject or subject_of(piece)
    if len(raw) > max_piece_bytes:
        checksum = hashlib.sha256(raw).hexdigest()
        detail = f"{detail} (the first {max_piece_bytes} of {len(raw)} bytes, sha256 {checksum})".lstrip()
        raw = raw[:max_piece_bytes]
    received_ns = min(max(piece.received_ns, 0), _LATEST_NS)
    cleaned = replace(
        piece,
        batch_id=_text(piece.batch_id, _MAX_BATCH_ID),
        slot=min(max(piece.slot, -1), _MAX_SLOT),
        home=_text(piece.home, MAX_NAME),
        source=_text(piece.source, MAX_NAME),
        reason=_text(piece.reason, MAX_NAME),
        detail=_text(detail, MAX_DETAIL),
        raw=raw,
        whole=piece.whole and raw is piece.raw and _is_short(piece),
        received_ns=received_ns,
        kind=_text(piece.kind, MAX_NAME),
        topic=_text(piece.topic, MAX_TOPIC),
        subject=_text(subject, MAX_NAME),
        last_seen_ns=min(piece.last_seen_ns, _LATEST_NS) or received_ns,
    )
    return replace(cleaned, cause=cause_of(cleaned))


def _is_short(piece: Quarantined) -> bool:
    """Tell whether what a replay needs besides the payload is kept as it is."""
    return len(piece.topic) <= MAX_TOPIC and max(len(piece.home), len(piece.source), len(piece.kind)) <= MAX_NAME


def cause_of(piece: Quarantined) -> str:
    """Return the short name of a piece's cause: what all pieces of the same reason and subject have in common."""
    text = f"{piece.home}\x1f{piece.reason}\x1f{piece.subject}"
    return hashlib.sha256(text.encode()).hexdigest()[:_CAUSE_LENGTH]


def digest_of(piece: Quarantined) -> str:
    """Return a hash of what makes a piece another one than the next: its bytes, where they came from, the reason."""
    raw = piece.raw
    found = _object(raw) if piece.form == "event" else None
    if found is not None:
        raw = orjson.dumps({name: value for name, value in found.items() if name not in _PASSING})
    text = f"{piece.home}\x1f{piece.source}\x1f{piece.form}\x1f{piece.kind}\x1f{piece.topic}\x1f{piece.reason}"
    return hashlib.sha256(text.encode() + b"\x1e" + raw).hexdigest()


def subject_of(piece: Quarantined) -> str:
    """Return what a piece is about: an entity where one can be seen in it, else its topic, else its kind."""
    found = _object(piece.raw) or {}
    if isinstance(inner := found.get("event"), dict):
        found = inner
    data = found.get("data") or found.get("event_data")
    places = (found, data if isinstance(data, dict) else {})
    named: str = next((place["entity_id"] for place in places if isinstance(place.get("entity_id"), str)), "")
    subject = named or str(found.get("subject") or found.get("event_type") or "") or piece.topic or piece.kind
    return subject[:_SUBJECT_LENGTH]


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _text(text: str, limit: int) -> str:
    # Cut before and after: escapes make a text longer.
    return text[:limit].encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")[:limit]
