"""Watches for wanted registry syncs and asks for them; runs none itself, and outlives its broker and state server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import structlog

from ingestor import errors

_log: Final = structlog.get_logger("workers")
_EVERY_S: Final = 0.25
#: The task takes the request back when it begins.
_AFTER_ASKING_S: Final = 1.0


class RegistryWatch:
    """One look after the other, by `step`.

    `is_due` tells whether a sync of a home is wanted now; `ask` enqueues one, `ask_all` one of every home. All may
    raise Transient errors: then it is tried again.
    """

    def __init__(
        self,
        homes: Iterable[str],
        *,
        is_due: Callable[[str], bool],
        ask: Callable[[str], None],
        ask_all: Callable[[], None],
    ) -> None:
        self._homes = tuple(homes)
        self._is_due = is_due
        self._ask = ask
        self._ask_all = ask_all
        self._asked_all = False

    def step(self) -> float:
        """Look once; return the seconds until the next look."""
        try:
            return self._look()
        except errors.IngestorError as error:
            _log.debug("registry_watch_waits", error=str(error))
            return _AFTER_ASKING_S

    def _look(self) -> float:
        if not self._asked_all:
            # At the start every home is read once; one that is not there yet is asked for again by its listener.
            self._ask_all()
            self._asked_all = True
        due = [home for home in self._homes if self._is_due(home)]
        for home in due:
            self._ask(home)
        return _AFTER_ASKING_S if due else _EVERY_S
