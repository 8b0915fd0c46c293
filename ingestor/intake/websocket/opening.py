"""Opens a connection in a way that a stop need not wait for; knows nothing of what is opened."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final

from ingestor.homeassistant.connection import Connection

_LOOK_EVERY_S: Final = 0.2


def open_unless_stopped(connect: Callable[[], Connection], stop: threading.Event) -> Connection | None:
    """Return what `connect` returns, or raise what it raises; None as soon as `stop` is set.

    An address that swallows packets holds `connect` for its whole time-out: longer than a stop may take.
    What opens after the stop is closed at once.
    """
    outcome: queue.SimpleQueue[Connection | Exception] = queue.SimpleQueue()
    threading.Thread(target=_open, args=(connect, outcome, stop), name="connect", daemon=True).start()
    while not stop.is_set():
        try:
            found = outcome.get(timeout=_LOOK_EVERY_S)
        except queue.Empty:
            continue
        if isinstance(found, Exception):
            raise found
        return found
    return None


def _open(
    connect: Callable[[], Connection], outcome: queue.SimpleQueue[Connection | Exception], stop: threading.Event
) -> None:
    try:
        connection = connect()
    except Exception as error:  # noqa: BLE001 - it is raised again where it is waited for
        outcome.put(error)
        return
    if stop.is_set():
        connection.close()
    outcome.put(connection)
