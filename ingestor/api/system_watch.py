"""Tells those who listen when the installation falls ill or is well again: `system.healthy|warning|error`."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import structlog

from ingestor import errors
from ingestor.api.health import Health
from ingestor.live.entry import Notice
from ingestor.live.feed import LiveFeed
from ingestor.live.names import Name
from ingestor.queue.state import state_errors

if TYPE_CHECKING:
    import redis

_EVERY_S: Final = 15.0
#: A look that finds it otherwise may be a time-out of that moment: the next one must find the same.
_LOOKS: Final = 2
#: Changes that wait while the state server is away.
_MOST_WAITING: Final = 20
_KEY: Final = "ha_ingestor:live:system"
_log: Final = structlog.get_logger(__name__)


class SystemWatch:
    """Looks at the health now and then, and tells of a change in each home's stream. `state`: what was told last.

    It looks while somebody listens in this process (`heard`): all that is checked takes some 25 MB of memory.

    Of several processes that look, the first one tells. What cannot be told while the state server is away is told when
    it is back, with the time at which it was found.
    """

    def __init__(
        self,
        read: Callable[[], Health],
        feed: LiveFeed,
        state: redis.Redis[bytes],
        homes: Sequence[str],
        *,
        heard: Callable[[], bool] = lambda: True,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._read = read
        self._feed = feed
        self._state = state
        self._homes = tuple(homes)
        self._heard = heard
        self._clock_us = clock_us
        self._seen: tuple[Name, int] | None = None
        self._found: Name | None = None
        self._waiting: deque[tuple[Name, int, dict[str, Any]]] = deque(maxlen=_MOST_WAITING)

    async def watch(self) -> None:
        """Look until cancelled, while somebody listens."""
        threads = ThreadPoolExecutor(1, "system-watch")
        try:
            while True:
                await asyncio.sleep(_EVERY_S)
                if not self._heard():
                    continue
                try:
                    await asyncio.get_running_loop().run_in_executor(threads, self.look)
                except Exception:  # noqa: BLE001 -- whatever it was, the next look may find out
                    _log.exception("system_not_looked_at")
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    def look(self) -> None:
        """Look once, and tell what there is to tell."""
        health = self._read()
        name = name_of(health)
        times = self._seen[1] + 1 if self._seen is not None and self._seen[0] == name else 1
        self._seen = (name, times)
        if times >= _LOOKS and name != self._found:
            self._found = name
            self._waiting.append((name, self._clock_us(), _told(health)))
        while self._waiting and self._tell(*self._waiting[0]):
            self._waiting.popleft()

    def _tell(self, name: Name, time_us: int, data: dict[str, Any]) -> bool:
        """Return whether it was told, by whomever."""
        try:
            with state_errors():
                before: Any = self._state.set(_KEY, name, get=True)
        except errors.IngestorError:
            return False
        was = before.decode() if isinstance(before, bytes) else ""
        if was == name:
            return True
        _log.info("system_changed", now=name, was=was)
        for home in self._homes:
            notice_id = f"{home}~{name}~{time_us}"
            self._feed.notify(home, [Notice(name, notice_id, time_us, "system", {**data, "was": was} if was else data)])
        return True


def name_of(health: Health) -> Name:
    """Return what is told of a health: what needs a person at once, what should be looked at, or that all is well."""
    if not health.ok:
        return "system.error"
    return "system.healthy" if health.status == "ok" else "system.warning"


def _told(health: Health) -> dict[str, Any]:
    ill = {one.name: one.detail for one in health.components if not one.ok}
    return {"status": health.status, **({"components": ill} if ill else {})}
