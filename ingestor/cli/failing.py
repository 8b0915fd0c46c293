"""Turns what ends a command or a process into one sentence that says what to do, and an exit code: the same for all.

A fault of ours that nobody outside can do anything about keeps its traceback: a report needs it.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import sys
import traceback
from collections.abc import Callable
from typing import Final

from ingestor import errors
from ingestor.cli import advice
from ingestor.cli.exit_codes import ExitCode

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_ALLOWED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_PLACE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG})
_TOO_MUCH: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
_ELSEWHERE: Final = "or name another place: HA_INGESTOR_DATA_DIR is the folder where everything is kept"
#: Packages whose errors are a server's or a database's word; not imported here: few processes use them all.
_PEERS: Final = ("sqlalchemy", "sqlite3", "psycopg", "redis", "kombu", "amqp")
_Told = tuple[str, ExitCode]


def ended(run: Callable[[], int]) -> int:
    """Run a process; return its exit code, whatever ends it. Raises what `told` knows nothing of."""
    try:
        return run()
    except Exception as error:  # noqa: BLE001 -- it is raised again where nothing is known of it
        return tell(error)


def tell(error: Exception) -> ExitCode:
    """Say on standard error what ended us; return the exit code. Raises the error where nothing is known of it."""
    found = told(error)
    if found is None:
        raise error
    if logging.getLogger().isEnabledFor(logging.DEBUG) and not isinstance(error, errors.IngestorError):
        traceback.print_exception(error)
    _let_go_of_output()
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{found[0]}\n")
    return found[1]


def told(error: Exception) -> _Told | None:
    """Return the sentence and the exit code; None for a fault of ours."""
    if isinstance(error, errors.IngestorError):
        return advice.told(error), exit_code_of(error)
    if type(error).__module__.partition(".")[0] in _PEERS:
        return _of_peer(error)
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, OverflowError):
        return f"a number or a time is beyond what can be worked with: {error}", ExitCode.BAD_SETTINGS
    if isinstance(error, ValueError):
        where = "`ha-ingestor --log-level debug …` shows where"
        return f"a value cannot be used ({type(error).__name__}: {error}); {where}", ExitCode.FAILED
    return None


def exit_code_of(error: errors.IngestorError) -> ExitCode:
    """Return what the supervisor and scripts are told about an error."""
    if isinstance(error, errors.InvalidSettings | errors.Unanswerable):
        return ExitCode.BAD_SETTINGS
    if isinstance(error, errors.AuthenticationRefused | errors.StoreRefused):
        return ExitCode.REFUSED
    if isinstance(error, errors.StoreDamaged):  # who works waits for it; who asks must not
        return ExitCode.FAILED
    return ExitCode.UNAVAILABLE if isinstance(error, errors.Transient) else ExitCode.FAILED


def _of_system(error: OSError) -> _Told:
    what = error.strerror or str(error) or type(error).__name__
    if error.filename is not None:
        what = f"{_name(error.filename)}: {what}"
    if error.errno in _NO_ROOM:
        where = "there" if error.filename is not None else "in the data folder, or where the output goes"
        return f"{what}: make room {where}, then try again", ExitCode.UNAVAILABLE
    if error.errno in _NOT_ALLOWED:
        return f"{what}: let this user read and write there, {_ELSEWHERE}", ExitCode.BAD_SETTINGS
    if error.errno in _NO_PLACE:
        return f"{what}: see to it that it can be there, {_ELSEWHERE}", ExitCode.BAD_SETTINGS
    if error.errno in _TOO_MUCH:
        return f"{what}: this machine gives no more at present; try again", ExitCode.UNAVAILABLE
    if isinstance(error, ConnectionError | TimeoutError) or error.filename is None:
        return f"{what}: `ha-ingestor doctor` says which server is away", ExitCode.UNAVAILABLE
    return f"{what}: see whether its disk is in order", ExitCode.FAILED


def _of_peer(error: Exception) -> _Told:
    said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return f"{what}: `ha-ingestor doctor` says which server or database is not in order", ExitCode.UNAVAILABLE


def _name(filename: object) -> str:
    return filename.decode(errors="replace") if isinstance(filename, bytes) else str(filename)


def _let_go_of_output() -> None:
    """Write what is left for standard output; where that fails, too, Python must not complain of it at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        sys.stdout = None
