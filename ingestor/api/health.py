"""Whether each component does its work: checks with a time-out, kept for two seconds; says it, mends nothing."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from ingestor import bootstrap, errors
from ingestor.api.health_events import events_check
from ingestor.api.health_pauses import pauses_check
from ingestor.api.overview import types_of
from ingestor.api.side_by_side import Answer, NotWell, SideBySide
from ingestor.api.weather import weather_check
from ingestor.queue.depths import Depths
from ingestor.queue.names import PIPELINE, TaskType
from ingestor.queue.nodes import answering_nodes
from ingestor.queue.pauses import HeededPauses, Pauses
from ingestor.queue.state import state_errors
from ingestor.settings import Settings
from ingestor.wording import number_of

_KEPT_FOR_S: Final = 2.0
_TIMEOUT_S: Final = 3.0
#: Longer than any task may take (rule 19), so that one long task is not taken for a stop.
_STUCK_AFTER_S: Final = 60.0
#: What must work to serve; Home Assistant being away does not make us unready.
_NEEDED_TO_BE_READY: Final = frozenset({"broker", "state", "store", "database", "workers"})
#: What somebody must look at, and no restart mends: the answer says "degraded", and stays a success.
_DEGRADES: Final = frozenset({"events", "weather_api", "pauses"})


@dataclass(frozen=True, slots=True)
class Component:
    """How one part is: `detail` is a sentence."""

    name: str
    ok: bool
    detail: str
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Health:
    """How all parts are."""

    components: tuple[Component, ...]

    @property
    def ok(self) -> bool:
        """Whether every part works; that events are missing makes none unfit to work."""
        return all(component.ok for component in self.components if component.name not in _DEGRADES)

    @property
    def status(self) -> str:
        """How it is in a word."""
        if not self.ok:
            return "unavailable"
        return "ok" if all(component.ok for component in self.components) else "degraded"

    @property
    def ready(self) -> bool:
        """Whether what is needed to serve works."""
        return all(component.ok for component in self.components if component.name in _NEEDED_TO_BE_READY)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "status": self.status,
            "components": {component.name: asdict(component) for component in self.components},
        }


Check = Callable[[], str]


class HealthWatch:
    """Runs the checks side by side, at most once in two seconds however many ask."""

    def __init__(self, checks: dict[str, Check], *, timeout_s: float = _TIMEOUT_S) -> None:
        self._checks = SideBySide(checks, timeout_s=timeout_s)
        self._lock = threading.Lock()
        self._kept: Health | None = None
        self._kept_at = 0.0

    def read(self) -> Health:
        """Return how all is, as of at most two seconds ago."""
        with self._lock:
            if self._kept is None or time.monotonic() - self._kept_at > _KEPT_FOR_S:
                answers = self._checks.ask()
                self._kept = Health(tuple(_component(name, answer) for name, answer in answers.items()))
                self._kept_at = time.monotonic()
            return self._kept

    def close(self) -> None:
        """End the threads."""
        self._checks.close()


def _component(name: str, answer: Answer) -> Component:
    ok = answer.error is None
    return Component(name, ok, answer.value if ok else str(answer.error), answer.took_ms)


def checks_for(settings: Settings) -> dict[str, Check]:
    """Return the checks of an installation, by component."""
    return {
        "broker": _broker_check(settings),
        "state": _state_check(settings),
        "store": _store_check(settings),
        "database": _database_check(settings),
        "listeners": _listeners_check(settings),
        "workers": WorkersCheck(settings),
        "events": events_check(settings),
        "weather_api": weather_check(settings),
        "pauses": pauses_check(settings),
    }


def _broker_check(settings: Settings) -> Check:
    depths = Depths(settings.broker_url)

    def check() -> str:
        waiting = depths.read()
        return f"answers; {sum(waiting[kind.value] for kind in PIPELINE)} batches wait"

    return check


def _state_check(settings: Settings) -> Check:
    state = bootstrap.open_state(settings)

    def check() -> str:
        with state_errors():
            state.ping()
        return "answers"

    return check


def _store_check(settings: Settings) -> Check:
    breaker = bootstrap.open_breaker(bootstrap.open_state(settings))

    def check() -> str:
        # First what the writers hear: a store that answers a ping may still take nothing from us.
        with contextlib.suppress(errors.StateUnavailable, errors.AuthenticationRefused):
            if (heard := breaker.read()).phase != "closed":
                raise NotWell(heard.sentence())
        store = bootstrap.open_store(settings)
        try:
            info = store.check()
        finally:
            store.close()
        return f"{info.product} {info.version} answers"

    return check


def _database_check(settings: Settings) -> Check:
    # Kept once it is open: opening looks for tables that are missing.
    quarantine = functools.cache(lambda: bootstrap.open_quarantine(settings))

    def check() -> str:
        return f"answers; {number_of(quarantine().count(), 'piece')} in quarantine"

    return check


def _listeners_check(settings: Settings) -> Check:
    board = bootstrap.open_status_board(settings)

    def check() -> str:
        entries = [entry for key, entry in board.read().items() if key.startswith("listener:")]
        wanted = list(_configured(settings))
        told = {(home, kind): _entries_of(entries, home, kind) for home, kind in wanted}
        missing = [
            f"{kind} of {home}{_why(ours)}"
            for (home, kind), ours in told.items()
            if not any(entry.get("connected") for entry in ours)
        ]
        if missing:
            raise NotWell(f"not connected: {'; '.join(missing)}")
        return f"{len(wanted)} connected" if wanted else "none configured"

    return check


def _entries_of(entries: list[dict[str, Any]], home: str, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in entries if entry.get("home") == home and entry.get("kind") == kind]


def _why(entries: list[dict[str, Any]]) -> str:
    told = next((str(entry["last_error"]) for entry in entries if entry.get("last_error")), "")
    return f" ({told})" if told else ""


def _configured(settings: Settings) -> Iterator[tuple[str, str]]:
    for home in settings.all_homes():
        if home.homeassistant.url:
            yield home.name, "websocket"
        if home.mqtt.url:
            yield home.name, "mqtt"


class WorkersCheck:
    """Whether every step has a worker that works: one that answers but takes nothing is not well.

    `celery inspect ping` would call it healthy, and takes a second.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._board = bootstrap.open_status_board(settings)
        self._depths = Depths(settings.broker_url, [kind.value for kind in PIPELINE])
        self._pauses = HeededPauses(Pauses(bootstrap.open_state(settings)))
        self._clock = clock
        self._moved: dict[str, tuple[int, float]] = {}

    def __call__(self) -> str:
        """Return a sentence. Raises NotWell."""
        tasks = self._tasks()
        missing = [kind.value for kind in PIPELINE if kind.value not in tasks]
        if missing:
            raise NotWell(f"no worker for {', '.join(missing)}")
        depths = self._depths.read()
        stuck = [f"{name} ({depths[name]} batches wait)" for name in depths if self._is_stuck(name, depths, tasks)]
        if stuck:
            raise NotWell(f"workers took nothing for {_STUCK_AFTER_S:g} s: {', '.join(stuck)}")
        return "every step has a worker"

    def _tasks(self) -> dict[str, int]:
        """Return the tasks that workers have taken, by type."""
        found: dict[str, int] = {}
        for key, entry in self._board.read().items():
            for kind in types_of(entry) if key.startswith("worker:") else ():
                found[kind] = found.get(kind, 0) + int(entry.get("tasks", 0))
        # Workers that do not tell (another version) are asked.
        if not found.keys() >= {kind.value for kind in PIPELINE}:
            for node in answering_nodes(self._settings.broker_url).values():
                found.setdefault(str(node["type"]), int(node["tasks"]))
        return found

    def _is_stuck(self, name: str, depths: dict[str, int], tasks: dict[str, int]) -> bool:
        now = self._clock()
        before, since = self._moved.get(name, (-1, now))
        if not depths[name] or tasks[name] != before or self._pauses.has(TaskType(name)):
            self._moved[name] = (tasks[name], now)
            return False
        return now - since > _STUCK_AFTER_S
