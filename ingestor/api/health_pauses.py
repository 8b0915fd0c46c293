"""The component `pauses` of health: that somebody stopped work on purpose is told, so that nobody looks for a fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from ingestor import bootstrap
from ingestor.api.side_by_side import NotWell
from ingestor.queue.names import TaskType
from ingestor.queue.pauses import Pause, Pauses
from ingestor.settings import Settings


def pauses_check(settings: Settings) -> Callable[[], str]:
    """Return the check of an installation. It raises NotWell where a task type is paused."""
    pauses = Pauses(bootstrap.open_state(settings))

    def check() -> str:
        if paused := pauses.read():
            raise NotWell(sentence(paused))
        return "nothing is paused"

    return check


def sentence(paused: Mapping[TaskType, Pause]) -> str:
    """Return what is paused, by whom and since when."""
    told = [f"{kind.value} is paused by {one.by} since {_time(one.since_us)}" for kind, one in paused.items()]
    return "; ".join(told)


def _time(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
