"""Asking for a sync of a home, debounced: anybody may ask, the registry task looks whether it is due."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

import redis

from ingestor.queue.locking import only_one
from ingestor.queue.state import state_errors

_EXPIRE_S: Final = 3600
#: Changes that follow one another put a sync off, but not for longer than so many quiet times.
_MOST_QUIET_TIMES: Final = 3
#: A sync that died holds its lock no longer than this; a 20,000-entity home takes some seconds.
_LOCK_S: Final = 120.0
#: A token that was refused is not shown to Home Assistant again for so long: it bans addresses that keep trying.
_REFUSED_S: Final = 86_400

Clock = Callable[[], float]


def request_sync(state: redis.Redis[bytes], home: str, *, settle: bool = True, clock: Clock = time.time) -> None:
    """Ask for a sync of a home, soon. Cheap; may be called for every event. Raises StateUnavailable.

    With `settle` the quiet time begins anew: more changes may follow this one. Who only waits for an answer asks
    without it, and so does not put it off.
    """
    now = str(clock())
    with state_errors():
        pipe = state.pipeline(transaction=False)
        pipe.hsetnx(_wanted_key(home), "first", now)
        if settle:
            pipe.hset(_wanted_key(home), "last", now)
        else:
            pipe.hsetnx(_wanted_key(home), "last", now)
        pipe.expire(_wanted_key(home), _EXPIRE_S)
        pipe.execute()


def sync_due(state: redis.Redis[bytes], home: str, debounce_s: float, *, clock: Clock = time.time) -> bool:
    """Tell whether a sync was asked for, and it has been quiet since, or long enough. Raises StateUnavailable."""
    with state_errors():
        asked = state.hgetall(_wanted_key(home))
    if not asked:
        return False
    now = clock()
    first, last = (float(asked.get(name, now)) for name in (b"first", b"last"))
    return now - last >= debounce_s or now - first >= debounce_s * _MOST_QUIET_TIMES


def forget_request(state: redis.Redis[bytes], home: str) -> None:
    """Take back the request: a sync that begins now answers it. Raises StateUnavailable."""
    with state_errors():
        state.delete(_wanted_key(home))


def note_answered(state: redis.Redis[bytes], home: str, began_s: float) -> None:
    """Note that a sync which began then (Unix seconds) has said what there is. Raises StateUnavailable."""
    with state_errors():
        state.set(_answered_key(home), began_s, ex=_EXPIRE_S)


def answered_since(state: redis.Redis[bytes], home: str, since_s: float) -> bool:
    """Tell whether a sync that began since then (Unix seconds) has said what there is. Raises StateUnavailable."""
    with state_errors():
        began = state.get(_answered_key(home))
    return began is not None and float(began) >= since_s


def sync_lock(state: redis.Redis[bytes], home: str) -> AbstractContextManager[bool]:
    """Hold the home's lock, or yield False at once where another sync holds it. Raises StateUnavailable."""
    return only_one(state, f"sync:{home}", for_s=_LOCK_S)


def remember_refusal(state: redis.Redis[bytes], home: str, credentials: str) -> None:
    """Note that Home Assistant refused these credentials (a hash of them). Raises StateUnavailable."""
    with state_errors():
        state.set(_refused_key(home), credentials, ex=_REFUSED_S)


def was_refused(state: redis.Redis[bytes], home: str, credentials: str) -> bool:
    """Tell whether Home Assistant refused just these credentials within a day. Raises StateUnavailable."""
    with state_errors():
        return state.get(_refused_key(home)) == credentials.encode()


def _wanted_key(home: str) -> str:
    return f"ha_ingestor:sync:{home}:wanted"


def _answered_key(home: str) -> str:
    return f"ha_ingestor:sync:{home}:answered"


def _refused_key(home: str) -> str:
    return f"ha_ingestor:sync:{home}:refused"
