"""Which automations and scripts have run since their runs were fetched last, and one fetching of a home at a time."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Final, cast

import redis

from ingestor.queue.locking import only_one
from ingestor.queue.state import state_errors

_EXPIRE_S: Final = 3_600
#: With more than that all are fetched anyway.
_MOST: Final = 1_000
#: A fetching that died holds its lock no longer than this; a task has 25 s.
_LOCK_S: Final = 40.0


def note_started(state: redis.Redis[bytes], home: str, entity_ids: Iterable[str]) -> None:
    """Note that these have run: what they did can be fetched. Raises StateUnavailable."""
    names = list(entity_ids)[:_MOST]
    if names:
        with state_errors():
            pipe = state.pipeline(transaction=False)
            pipe.sadd(_started_key(home), *names)
            pipe.expire(_started_key(home), _EXPIRE_S)
            pipe.execute()


def take_started(state: redis.Redis[bytes], home: str) -> list[str]:
    """Return what has run since, and forget it. Raises StateUnavailable."""
    with state_errors():
        found = cast("list[bytes]", state.spop(_started_key(home), _MOST))
    return sorted(name.decode() for name in found)


def traces_lock(state: redis.Redis[bytes], home: str) -> AbstractContextManager[bool]:
    """Hold the home's lock, or yield False at once where another fetching holds it. Raises StateUnavailable."""
    return only_one(state, f"traces:{home}", for_s=_LOCK_S)


def _started_key(home: str) -> str:
    return f"ha_ingestor:traces:{home}:started"
