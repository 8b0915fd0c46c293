"""One at a time over all processes: a lock in the state server that its holder's death lets go in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from redis.exceptions import LockError

from ingestor.queue.state import state_errors


@contextmanager
def only_one(state: redis.Redis[bytes], name: str, *, for_s: float) -> Iterator[bool]:
    """Hold the lock of that name, or yield False at once where another holds it. Raises StateUnavailable.

    Who dies holds it no longer than `for_s` seconds.
    """
    lock = state.lock(f"ha_ingestor:{name}:lock", timeout=for_s, blocking=False)
    with state_errors():
        mine = lock.acquire()
    try:
        yield mine
    finally:
        if mine:
            # It took longer than the lock lives, or the state server was flushed: there is nothing to give back.
            with state_errors(), suppress(LockError):
                lock.release()
