"""Which of several processes acts: a lease in the state server, renewed by its holder; ends and starts none of them.

While the state server is away nobody changes: who leads goes on, since a home that is heard twice is stored once, and
one that nobody hears has a gap.
"""

from __future__ import annotations

import secrets
import threading
from typing import Final

import redis
import structlog

from ingestor import errors
from ingestor.intake.loop import Loop
from ingestor.queue.state import state_errors

_log: Final = structlog.get_logger(__name__)
#: Who dies is followed within this time and one look.
LEASE_S: Final = 2.5
_LOOK_EVERY_S: Final = 0.5
_STOP_S: Final = 1.0
#: Takes the lease where nobody has it, renews it where we have it; tells whether we do now.
_TAKE: Final = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_GIVE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class Leadership:
    """One candidate. `leading` and `over` may be waited for by any thread; `step` belongs to one."""

    def __init__(self, state: redis.Redis[bytes], name: str, lease_s: float = LEASE_S) -> None:
        self._state = state
        self._key = f"ha_ingestor:leader:{name}"
        self._token = secrets.token_hex(8)
        self._lease_ms = int(lease_s * 1000)
        self._loop = Loop("leadership", self.step)
        self.leading = threading.Event()
        #: Set while this one does not lead.
        self.over = threading.Event()
        self.over.set()

    def start(self) -> None:
        """Begin to stand for it."""
        self._loop.start()

    def step(self) -> float:
        """Take or renew the lease; return the seconds until the next time."""
        try:
            with state_errors():
                mine = bool(self._state.execute_command("EVAL", _TAKE, 1, self._key, self._token, self._lease_ms))
        except errors.IngestorError as error:
            _log.debug("leadership_waits", error=str(error))
            return _LOOK_EVERY_S
        if mine != self.leading.is_set():
            _log.warning("leading" if mine else "not_leading", of=self._key)
        if mine:
            self.over.clear()
            self.leading.set()
        else:
            self.leading.clear()
            self.over.set()
        return _LOOK_EVERY_S

    def stop(self) -> None:
        """Stand for it no more; let the next one lead at once."""
        self._loop.stop(_STOP_S)
        self.leading.clear()
        self.over.set()
        try:
            with state_errors():
                self._state.execute_command("EVAL", _GIVE, 1, self._key, self._token)
        except errors.IngestorError as error:
            _log.debug("lease_runs_out", error=str(error))
