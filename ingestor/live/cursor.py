"""The cursor of one who listens: how far they are in each home's stream; text that may stand in a URL or a header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from ingestor import errors
from ingestor.live.channel import EntryId, Kept

_HOME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_MOST_HOMES: Final = 100
#: The index that stands for all messages of an entry, whatever their number.
WHOLE: Final = 999_999_999


class Position(NamedTuple):
    """The last message that was taken: its entry, and which one of it."""

    entry_id: EntryId
    message: int = WHOLE

    def __str__(self) -> str:
        """Return MS-SEQ, and .INDEX where the entry is not through."""
        return str(self.entry_id) if self.message == WHOLE else f"{self.entry_id}.{self.message}"

    def is_lost(self, kept: Kept) -> bool:
        """Tell whether something later may have been published that can no longer be read."""
        begun = self.message != WHOLE and self.entry_id == kept.after
        return begun or not kept.after <= self.entry_id <= kept.last


Cursor = Mapping[str, Position]


def cursor_text(cursor: Cursor) -> str:
    """Return a cursor as text: `HOME:MS-SEQ.INDEX`, with `,` between homes."""
    return ",".join(f"{home}:{place}" for home, place in sorted(cursor.items()))


def parse_cursor(text: str) -> dict[str, Position]:
    """Read a cursor. Raises Rejected("invalid_cursor")."""
    found: dict[str, Position] = {}
    parts = text.split(",", _MOST_HOMES)
    for part in parts[:_MOST_HOMES]:
        home, _, place = part.partition(":")
        if not _HOME.fullmatch(home) or home in found:
            raise _invalid(text)
        found[home] = _position(text, place)
    if len(parts) > _MOST_HOMES:
        raise _invalid(text)
    return found


def _position(text: str, place: str) -> Position:
    entry, dot, index = place.partition(".")
    try:
        entry_id = EntryId.parse(entry)
    except errors.Rejected as error:
        raise _invalid(text) from error
    if not dot:
        return Position(entry_id)
    if not (index.isascii() and index.isdecimal() and len(index) < len(str(WHOLE))):
        raise _invalid(text)
    return Position(entry_id, int(index))


def _invalid(text: str) -> errors.Rejected:
    return errors.Rejected("invalid_cursor", f"{text!r:.80} is no cursor of a message: take the one that came with it")
