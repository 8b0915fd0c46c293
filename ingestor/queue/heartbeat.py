"""A thread that tells every second how its process is; nothing waits for it and nothing depends on it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import structlog

from ingestor.queue.alive import AliveFile
from ingestor.queue.status_board import StatusBoard

_log: Final = structlog.get_logger(__name__)
_EVERY_S: Final = 1.0


class Heartbeat:
    """Puts what `read` returns on the board while it is entered; `also` is called with each beat.

    `alive` is touched first, since what follows may wait for a server that is away. It stays behind: a process that
    beats no more and does not end either is noticed by it.
    """

    def __init__(
        self,
        board: StatusBoard,
        kind: str,
        name: str,
        read: Callable[[], dict[str, Any]],
        *,
        also: Callable[[], None] | None = None,
        alive: AliveFile | None = None,
    ) -> None:
        self._board = board
        self._kind = kind
        self._name = name
        self._read = read
        self._also = also
        self._alive = alive
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=1.0)
        self._board.forget(self._kind, self._name)

    def hurry(self) -> None:
        """Beat at once; returns without waiting for it."""
        self._wake.set()

    def _beat(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self._show_life()
                if self._also is not None:
                    self._also()
                self._show_life()
                self._board.put(self._kind, self._name, self._read())
            except Exception:  # noqa: BLE001 -- a fault in what is told must not end the telling
                _log.exception("heartbeat_failed", kind=self._kind, name=self._name)
            self._wake.wait(_EVERY_S)

    def _show_life(self) -> None:
        if self._alive is not None:
            self._alive.beat()
