"""Wakes a thread that waits in `select`; a wake-up after the end is harmless."""

from __future__ import annotations

import contextlib
import socket


class Wake:
    """A pair of sockets: who waits reads one end, anybody may write to the other."""

    def __init__(self) -> None:
        self._waiting, self._calling = socket.socketpair()
        self._waiting.setblocking(False)
        self._calling.setblocking(False)
        self._is_called = False

    def fileno(self) -> int:
        """Return what `select` waits for."""
        return self._waiting.fileno()

    def call(self) -> None:
        """Wake the thread; calls that come before it has looked are one."""
        if not self._is_called:
            self._is_called = True
            # It may be full of calls, or closed: both mean that nobody needs this one.
            with contextlib.suppress(OSError):
                self._calling.send(b"\x00")

    def clear(self) -> None:
        """Take the call; what is called from now on is heard at the next `select`."""
        self._is_called = False
        with contextlib.suppress(BlockingIOError):
            self._waiting.recv(4096)

    def close(self) -> None:
        """Hear no more calls."""
        self._waiting.close()
        self._calling.close()
