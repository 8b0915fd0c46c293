"""A thread that tells every second how its process is; nothing waits for it and nothing depends on it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import structlog

from ingestor import errors, logs_level, settings_following
from ingestor.queue.about import about_self
from ingestor.queue.alive import AliveFile
from ingestor.queue.status_board import StatusBoard
from ingestor.queue.vitals import VitalsFile

_log: Final = structlog.get_logger(__name__)
_EVERY_S: Final = 1.0


class Heartbeat:
    """Puts what `read` returns on the board while it is entered; `also` is called with each beat.

    `alive` is touched first, since what follows may wait for a server that is away. It stays behind: a process that
    beats no more and does not end either is noticed by it. `vitals` is told the same as the board; it goes with its
    process.
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
        vitals: VitalsFile | None = None,
    ) -> None:
        self._board = board
        self._kind = kind
        self._name = name
        self._read = read
        self._also = also
        self._alive = alive
        self._vitals = vitals
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
        if self._vitals is not None:
            self._vitals.remove()
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
                entry = self._read()
                if self._vitals is not None:
                    self._vitals.tell(self._kind, self._name, entry)
                self._board.put(self._kind, self._name, entry)
                self._follow_level(entry)
                self._follow_settings()
            except Exception:  # noqa: BLE001 -- a fault in what is told must not end the telling
                _log.exception("heartbeat_failed", kind=self._kind, name=self._name)
            self._wake.wait(_EVERY_S)

    def _follow_level(self, entry: dict[str, Any]) -> None:
        """Log from the level that an operator wants; while the state server is away nothing changes."""
        kind = str(entry.get("kind", self._kind)) if self._kind == "process" else self._kind
        with contextlib.suppress(errors.IngestorError):
            logs_level.level().want(self._board.wanted_level(logs_level.names_of(kind, self._name)))

    def _follow_settings(self) -> None:
        """Take what was changed in the settings file and takes effect at once: here, the level of the log."""
        found = settings_following.follower()
        if "log.level" in found.look():
            logs_level.level().own(found.level())

    def _show_life(self) -> None:
        if self._alive is not None:
            self._alive.beat()


def heartbeat_of(
    board: StatusBoard, kind: str, data_dir: Path | None, read: Callable[[], dict[str, Any]] = dict
) -> Heartbeat:
    """Return the heartbeat of a process that is neither listener nor worker; `read` may add, also "ready".

    `data_dir`: where its file goes; None where the process has one already, of what else it is.
    """
    name = f"{kind}@{socket.gethostname()}:{os.getpid()}"
    return Heartbeat(
        board,
        "process",
        name,
        lambda: {"ready": True, **about_self(), **read(), "kind": kind},
        vitals=None if data_dir is None else VitalsFile(data_dir),
    )
