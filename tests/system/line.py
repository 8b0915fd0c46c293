"""A network line to a local port that can be cut and mended; no product code."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Line:
    """Listens on a port of its own and hands every byte on, both ways, until it is cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._broken = threading.Event()
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.cut()
        self._server.close()

    def cut(self) -> None:
        """Break all connections; new ones break at once."""
        self._broken.set()
        while self._open:
            _end(self._open.pop())

    def mend(self) -> None:
        """Let new connections through."""
        self._broken.clear()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self._join(client)

    def _join(self, client: socket.socket) -> None:
        if self._broken.is_set():
            _end(client)
            return
        try:
            home = socket.create_connection(("127.0.0.1", self._to), 5)
        except OSError:
            _end(client)
            return
        home.settimeout(None)
        self._open += [client, home]
        for source, target in ((client, home), (home, client)):
            threading.Thread(target=_hand_on, args=(source, target), daemon=True).start()


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    _end(source)
    _end(target)


def _end(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        end.close()
