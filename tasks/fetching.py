"""Asks for the runs of automations and scripts to be fetched; fetches none (that is `tasks.registry`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import structlog

from ingestor import errors
from ingestor.home.traces.requests import note_started
from ingestor.queue import names
from tasks.asking import ask_if_possible

if TYPE_CHECKING:
    import redis

#: One that is not begun within these seconds is made up for by the next.
SOON_S: Final = 50
_log: Final = structlog.get_logger("tasks")


def fetch_soon(state: redis.Redis[bytes], home: str, entity_ids: Sequence[str]) -> None:
    """Have the runs of these fetched at once: Home Assistant keeps few, and these run often."""
    try:
        note_started(state, home, entity_ids)
    except errors.StateUnavailable as error:
        # They are fetched with the others then, as far as Home Assistant still has them.
        _log.warning("traces_not_asked_for", home=home, error=str(error))
        return
    send_fetch(home)


def send_fetch(home: str, *, whole: bool = False) -> None:
    """Enqueue a fetching; one that is not begun soon is made up for by the next."""
    ask_if_possible(names.FETCH_TRACES, names.TaskType.REGISTRY, home, whole, expires_s=SOON_S)
