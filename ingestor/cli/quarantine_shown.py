"""How causes and pieces of the quarantine are shown: as rows, as objects, as a page; opens nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ingestor.events.redact import redact
from ingestor.reading.quarantine import piece_object, time_of
from ingestor.storage.quarantine import Cause, Quarantined

_SHOWN_BYTES: Final = 80
_HEX_WIDTH: Final = 16
CAUSES: Final = ("cause", "pieces", "seen", "first seen", "last seen", "home", "reason", "about", "example", "of it")
PIECES: Final = ("id", "last seen", "seen", "tried", "home", "source", "reason", "about", "detail", "raw")


def cause_row(cause: Cause) -> list[str]:
    """Return a cause as a table row."""
    times = (_short(cause.first_seen_ns), _short(cause.last_seen_ns))
    counts = (f"{cause.pieces:,}", f"{cause.seen:,}")
    return [cause.cause, *counts, *times, cause.home, cause.reason, cause.subject, str(cause.example_id), cause.example]


def piece_row(piece: Quarantined) -> list[str]:
    """Return a piece as a table row."""
    raw = redact(piece.raw)
    text = raw[:_SHOWN_BYTES].decode("utf-8", "backslashreplace") + ("…" if len(raw) > _SHOWN_BYTES else "")
    counts = (str(piece.id), _short(piece.last_seen_ns), f"{piece.count:,}", str(piece.attempts))
    return [*counts, piece.home, piece.source, piece.reason, piece.subject, piece.detail, text]


def shown(piece: Quarantined) -> Iterator[str]:
    """Yield the lines of a page about one piece: its fields, the diagnosis, its bytes."""
    found = piece_object(piece)
    raw = found.pop("raw")
    told = found.pop("diagnosis")
    width = max(map(len, found))
    for name, value in found.items():
        if value != "":
            yield f"{name:<{width}}  {value}"
    yield ""
    yield told
    yield ""
    yield f"{len(piece.raw)} bytes:"
    yield from [raw] if _is_text(piece.raw) else _hex_dump(redact(piece.raw))


def _is_text(raw: bytes) -> bool:
    try:
        return all(sign.isprintable() or sign in "\n\r\t" for sign in raw.decode())
    except UnicodeDecodeError:
        return False


def _hex_dump(raw: bytes) -> Iterator[str]:
    for start in range(0, len(raw), _HEX_WIDTH):
        part = raw[start : start + _HEX_WIDTH]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)  # noqa: PLR2004 -- printable ASCII
        yield f"{start:08x}  {part.hex(' '):<{_HEX_WIDTH * 3 - 1}}  {text}"


def _short(time_ns: int) -> str:
    return f"{time_of(time_ns).astimezone():%Y-%m-%d %H:%M:%S}"
