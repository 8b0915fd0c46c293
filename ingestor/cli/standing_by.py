"""A listener that listens only while it leads, and stands by with all else open while another one does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import structlog

from ingestor import errors
from ingestor.intake.leadership import Leadership
from ingestor.queue.status_board import EXPIRES_AFTER_S, StatusBoard

_log: Final = structlog.get_logger(__name__)
_LOOK_EVERY_S: Final = 0.1


class Listener(Protocol):
    """What listens."""

    def run(self, stop: threading.Event) -> None:
        """Listen until `stop` is set."""
        ...

    def status(self) -> dict[str, Any]:
        """Return how it does."""
        ...


class Either(threading.Event):
    """Is set while one of two is."""

    def __init__(self, one: threading.Event, other: threading.Event) -> None:
        super().__init__()
        self._both = (one, other)

    def is_set(self) -> bool:
        """Tell whether one of them is set."""
        return any(event.is_set() for event in self._both)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until one of them is set."""
        until_s = None if timeout is None else time.monotonic() + timeout
        while not self.is_set() and (until_s is None or time.monotonic() < until_s):
            self._both[0].wait(_LOOK_EVERY_S)
        return self.is_set()


class Standby:
    """Listens anew each time it leads. `make` opens a listener that begins with what nobody has heard since.

    `turn` is called with True before it listens, and with False after.
    """

    def __init__(
        self, leadership: Leadership, make: Callable[[], Listener], turn: Callable[[bool], None] = lambda _: None
    ) -> None:
        self._leadership = leadership
        self._make = make
        self._turn = turn
        self._listener: Listener | None = None

    def run(self, stop: threading.Event) -> None:
        """Stand by, and listen while this one leads, until `stop` is set. Raises what a listener raises."""
        self._leadership.start()
        try:
            while not stop.is_set():
                if self._leadership.leading.wait(_LOOK_EVERY_S):
                    self._lead(stop)
        finally:
            self._leadership.stop()

    def _lead(self, stop: threading.Event) -> None:
        self._listener = self._make()
        self._turn(True)
        try:
            self._listener.run(Either(stop, self._leadership.over))
        finally:
            self._turn(False)
            self._listener = None

    def status(self) -> dict[str, Any]:
        """Return how the listener does; while another one leads, that this one stands by."""
        listener = self._listener
        if listener is None:
            return {"connected": False, "standing_by": True, "last_error": ""}
        return {**listener.status(), "standing_by": False}


def require_own_name(board: StatusBoard, home: str, name: str, host: str, stop: threading.Event) -> None:
    """Wait until no other host has a listener of that name. Raises InvalidSettings where one goes on to have it.

    Both would take the marks of each other's batches. An entry of a process that has died is gone after 10 s.
    """
    until_s = time.monotonic() + EXPIRES_AFTER_S + 2
    while not stop.is_set():
        told = board.all().get(f"listener:{home}:{name}", {})
        other = told.get("host", host)
        if other == host or told.get("gave_up"):
            return
        if time.monotonic() > until_s:
            raise errors.InvalidSettings(
                f"host {other!r} has a listener {name!r} of home {home!r}: give this one a name of its own "
                "(`--name`, or the setting `listener` of homeassistant or mqtt)"
            )
        stop.wait(1.0)
