"""The level of a running process's log, changed for a while; what was set is the settings' business.

The process that hears of a change (by its heartbeat) writes it into a byte that it shares with the children it forks:
a worker's children look there before each task.
"""

from __future__ import annotations

import functools
import logging
import mmap
from collections.abc import Iterable
from typing import Final

import structlog

#: Libraries that say more than an operator wants to read: Celery two lines a batch, where ours is one.
QUIET: Final = (
    "urllib3",
    "kombu",
    "amqp",
    "celery.redirected",
    "celery.app.trace",
    "celery.worker.strategy",
    "asyncio",
)
LEVELS: Final = ("debug", "info", "warning", "error")


class Level:
    """The level of this process and its children."""

    def __init__(self) -> None:
        self._wanted = mmap.mmap(-1, 1)
        self._heeded = 0
        self._own = logging.INFO

    def begin(self, own: int) -> None:
        """Say which level holds where nobody wants another one."""
        self._own = own

    def own(self, name: str) -> None:
        """Take another level as our own, which holds where nobody wants another one."""
        self._own = logging.getLevelNamesMapping()[name.upper()]
        if not self._heeded:
            apply_level(self._own)

    def want(self, name: str | None) -> None:
        """Take another level, None for our own; what is no level's name counts as none."""
        self._wanted[0] = logging.getLevelNamesMapping()[name.upper()] if name in LEVELS else 0
        self.heed()

    def heed(self) -> None:
        """Take the level that the parent process wants, if that has changed."""
        wanted = self._wanted[0]
        if wanted != self._heeded:
            self._heeded = wanted
            apply_level(wanted or self._own)


@functools.cache
def level() -> Level:
    """Return the level of this process. First asked for before it forks."""
    return Level()


def apply_level(number: int) -> None:
    """Let the log of this process begin at a level."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(number))
    logging.getLogger().setLevel(number)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def names_of(kind: str, name: str) -> Iterable[str]:
    """Return by what a process may be called: all, its kind, its name, its name without the host."""
    return dict.fromkeys(("all", kind, name, name.partition("@")[0]))
