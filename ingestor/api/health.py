"""Whether each component does its work: checks with a time-out, kept for two seconds; says it, mends nothing."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from ingestor import bootstrap
from ingestor.api.side_by_side import Answer, NotWell, SideBySide
from ingestor.queue.depths import Depths
from ingestor.queue.names import PIPELINE
from ingestor.queue.nodes import answering_nodes
from ingestor.queue.state import state_errors
from ingestor.settings import Settings

_KEPT_FOR_S: Final = 2.0
_TIMEOUT_S: Final = 3.0
#: What must work to serve; Home Assistant being away does not make us unready.
_NEEDED_TO_BE_READY: Final = frozenset({"broker", "state", "store", "database", "workers"})


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
        """Whether every part works."""
        return all(component.ok for component in self.components)

    @property
    def ready(self) -> bool:
        """Whether what is needed to serve works."""
        return all(component.ok for component in self.components if component.name in _NEEDED_TO_BE_READY)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "status": "ok" if self.ok else "unavailable",
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
        "workers": _workers_check(settings),
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
    def check() -> str:
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
        return f"answers; {quarantine().count()} pieces in quarantine"

    return check


def _listeners_check(settings: Settings) -> Check:
    board = bootstrap.open_status_board(settings)

    def check() -> str:
        entries = [entry for key, entry in board.read().items() if key.startswith("listener:")]
        wanted = list(_configured(settings))
        missing = [
            f"{kind} of {home}"
            for home, kind in wanted
            if not any(e.get("home") == home and e.get("kind") == kind and e.get("connected") for e in entries)
        ]
        if missing:
            raise NotWell(f"not connected: {', '.join(missing)}")
        return f"{len(wanted)} connected" if wanted else "none configured"

    return check


def _configured(settings: Settings) -> Iterator[tuple[str, str]]:
    for home in settings.all_homes():
        if home.homeassistant.url:
            yield home.name, "websocket"
        if home.mqtt.url:
            yield home.name, "mqtt"


def _workers_check(settings: Settings) -> Check:
    board = bootstrap.open_status_board(settings)

    def check() -> str:
        told = {str(entry.get("type")) for key, entry in board.read().items() if key.startswith("worker:")}
        # Workers that do not tell (another version, `celery -A workers` by hand) are asked, which takes a second.
        if not told.issuperset(kind.value for kind in PIPELINE):
            told |= {str(node["type"]) for node in answering_nodes(settings.broker_url).values()}
        missing = [kind.value for kind in PIPELINE if kind.value not in told]
        if missing:
            raise NotWell(f"no worker for {', '.join(missing)}")
        return "every step has a worker"

    return check
