"""What SQLite's errors mean for whoever runs this, in words: for the metadata database and the embedded store."""

from __future__ import annotations

import errno
import sqlite3
from typing import Final

_DAMAGED: Final = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
_MEND: Final = (
    "its file is damaged: stop HA-Ingestor, then put a copy from a backup in its place; or move it away together with"
    " the -wal and -shm beside it, and a new one is made"
)
_PLACE: Final = "let this user read and write the file and its folder, or set HA_INGESTOR_DATA_DIR to another one"
_ADVICE: Final = {
    sqlite3.SQLITE_CANTOPEN: _PLACE,
    sqlite3.SQLITE_READONLY: _PLACE,
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_IOERR: "see whether its disk is full or failing",
    **dict.fromkeys(_DAMAGED, _MEND),
}


def is_damaged(error: object) -> bool:
    """Tell whether an error of SQLite's says that the file is none of its own any more."""
    return _code(error) in _DAMAGED


def is_busy(error: object) -> bool:
    """Tell whether an error of SQLite's says that somebody else holds the file for now."""
    return _code(error) == sqlite3.SQLITE_BUSY


def explained(error: object) -> str:
    """Return what SQLite says, and behind it what to do where that is known."""
    advice = _ADVICE.get(_code(error))
    return f"{error}: {advice}" if advice else f"{error}"


def of_system(error: OSError) -> str:
    """Return what the system says of a file's folder, and what to do."""
    advice = _ADVICE[sqlite3.SQLITE_FULL] if error.errno == errno.ENOSPC else _PLACE
    return f"{error.strerror or error}: {advice}"


def _code(error: object) -> int:
    """Return the first byte of the code: the others say more exactly what it was."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
