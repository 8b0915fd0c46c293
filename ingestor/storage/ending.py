"""Whether whoever asked a store still waits: a question that nobody waits for is ended, where the store can end one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

#: Goes along into the threads that ask: theirs is a copy of the asker's context.
_GONE: Final[ContextVar[threading.Event | None]] = ContextVar("asker_gone", default=None)


@contextmanager
def asker() -> Iterator[threading.Event]:
    """Yield what is to be set when whoever asks meanwhile has gone."""
    gone = threading.Event()
    token = _GONE.set(gone)
    try:
        yield gone
    finally:
        _GONE.reset(token)


def gone() -> threading.Event | None:
    """Return what says that whoever asks has gone; None where nobody would say so."""
    return _GONE.get()
