"""Change how many nodes a pool has, and which task types are paused: the same for the command line and the API."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Collection, Mapping
from typing import Any, Final

import redis

from ingestor import errors
from ingestor.queue.names import TaskType
from ingestor.queue.pauses import Pauses
from ingestor.queue.pools import ALL, POOLS, WantedNodes, most_nodes
from ingestor.queue.status_board import StatusBoard
from ingestor.security.access import Action, Principal, authorize
from ingestor.security.audit import Audit
from ingestor.settings import Settings

_TOGETHER: Final = (
    "one worker node takes every batch through all its steps here (workers.together, as in the profiles"
    " `small` and `low-latency`), and is not scaled, so nothing was changed; workers.together says how many"
    " processes it has, and 0 makes nodes for each type"
)


class WorkerAdmin:
    """Acts for one installation. Calls raise NotAllowed, StateUnavailable, and OSError where the audit is full."""

    def __init__(self, settings: Settings, state: redis.Redis[bytes], audit: Audit) -> None:
        self._settings = settings
        self._audit = audit
        self._board: Final = StatusBoard(state)
        self._wanted: Final = WantedNodes(state)
        self._pauses: Final = Pauses(state)

    def scale(
        self, who: Principal, numbers: Mapping[str, int | None], host: str | None = None, **about: str
    ) -> list[str]:
        """Ask for so many nodes of these pools, None for as many as are set; return the hosts that will see to it.

        Raises InvalidSettings for a number that makes no sense, NobodyListens where no supervisor would hear of it,
        NotFound where none of that host would.
        """
        authorize(who, Action.MANAGE_WORKERS)
        for pool, number in numbers.items():
            check_number(self._settings, pool, number)
        hosts = hosts_of(self._board.read(), host)
        self._audit.note(who, Action.MANAGE_WORKERS, {"nodes": dict(numbers), "host": host, **about})
        self._wanted.set(numbers, host)
        return hosts

    def pause(self, who: Principal, kinds: Collection[TaskType], **about: str) -> None:
        """Let nobody take tasks of these types any more; what is in hand is finished."""
        self._note(who, "pause", kinds, about)
        self._pauses.pause(kinds, who.name)

    def resume(self, who: Principal, kinds: Collection[TaskType], **about: str) -> None:
        """Let tasks of these types be taken again."""
        self._note(who, "resume", kinds, about)
        self._pauses.resume(kinds)

    def _note(self, who: Principal, what: str, kinds: Collection[TaskType], about: Mapping[str, str]) -> None:
        authorize(who, Action.MANAGE_WORKERS)
        self._audit.note(who, Action.MANAGE_WORKERS, {what: sorted(kind.value for kind in kinds), **about})


def whoever_runs_this() -> Principal:
    """Return who uses the command line: whoever may read the data folder."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "?"
    return Principal("local", f"{name}@{socket.gethostname()}")


def check_number(settings: Settings, pool: str, number: int | None) -> None:
    """Raise InvalidSettings where a pool cannot have so many nodes."""
    if pool not in POOLS:
        raise errors.InvalidSettings(f"{pool!r} is no type of {', '.join(POOLS)}")
    if number is None:
        return
    most = most_nodes(settings, pool)
    if number < 1:
        raise errors.InvalidSettings(f"{pool}={number} would stop all that is ingested; the least is 1")
    if number > most and settings.workers.together:
        raise errors.NobodyListens(_TOGETHER)
    if number > most:
        reason = "SQLite is written best by one process (HA_INGESTOR_STORAGE__URL)" if most == 1 else "on each host"
        raise errors.InvalidSettings(f"{pool}={number}: the most is {most}, {reason}")


def hosts_of(board: Mapping[str, Mapping[str, Any]], host: str | None) -> list[str]:
    """Return the hosts whose supervisors listen, or the one that is meant. Raises NobodyListens, NotFound."""
    known = sorted(str(entry.get("host", key)) for key, entry in board.items() if key.startswith("pools:"))
    if not known and any(key.startswith("worker:") and entry.get("type") == ALL for key, entry in board.items()):
        raise errors.NobodyListens(_TOGETHER)
    if not known:
        raise errors.NobodyListens(
            "no `ha-ingestor up` listens on any host, so nothing was changed; workers that were started otherwise "
            "(Compose, systemd) are scaled by what started them"
        )
    if host is not None and host not in known:
        raise errors.NotFound(f"no `ha-ingestor up` listens on host {host!r}; on: {', '.join(known)}")
    return known if host is None else [host]
