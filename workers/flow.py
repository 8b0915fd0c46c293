"""How old the oldest message in a queue is, and how fast the queue fills and empties; measures nothing itself.

No broker tells how long a message has waited. But queues are emptied in the order in which they were filled: when as
many had come as have been taken now, the oldest that waits was just coming. So two counts are enough, and no clock but
this process's own (rule 15).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: Rates are of the last seconds.
_RATE_OVER_S: Final = 5.0
#: Looks that are remembered: ten minutes of them. An older message counts as ten minutes old.
_MOST_LOOKS: Final = 1200


@dataclass(frozen=True, slots=True)
class Look:
    """A queue at one time: what came and what was taken so far."""

    at_s: float
    come: int
    taken: int


class Flow:
    """The flow through one queue."""

    def __init__(self) -> None:
        self._looks: deque[Look] = deque(maxlen=_MOST_LOOKS)
        self._taken_s = 0.0
        self.waiting = 0

    def note(self, at_s: float, waiting: int, taken: int) -> None:
        """Take in how many wait, and how many were taken since the beginning of all looks."""
        self.waiting = waiting
        before = self._looks[-1].come if self._looks else 0
        if not self._looks or taken > self._looks[-1].taken:
            self._taken_s = at_s
        self._looks.append(Look(at_s, max(before, waiting + taken), taken))

    @property
    def age_s(self) -> float:
        """For how long the oldest has waited."""
        if not self._looks or not self.waiting:
            return 0.0
        last = self._looks[-1]
        reached = last.come - self.waiting
        came = next((look.at_s for look in self._looks if look.come > reached), last.at_s)
        return last.at_s - came

    @property
    def come_per_s(self) -> float:
        """Messages that came, each second of late."""
        first, last, over_s = self._span()
        return (last.come - first.come) / over_s if over_s else 0.0

    @property
    def taken_per_s(self) -> float:
        """Messages that were taken, each second of late."""
        first, last, over_s = self._span()
        return (last.taken - first.taken) / over_s if over_s else 0.0

    @property
    def still_s(self) -> float:
        """How long ago a message was taken."""
        return self._looks[-1].at_s - self._taken_s if self._looks else 0.0

    def _span(self) -> tuple[Look, Look, float]:
        last = self._looks[-1] if self._looks else Look(0.0, 0, 0)
        first = next((look for look in self._looks if last.at_s - look.at_s <= _RATE_OVER_S), last)
        return first, last, last.at_s - first.at_s


class Taken:
    """Adds up what all nodes of all hosts have taken, over their restarts."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], int] = {}
        self._sums: dict[str, int] = {}

    def note(self, nodes: Mapping[str, Mapping[str, Any]]) -> None:
        """Take in what nodes tell of themselves, by name. Of one that is new, what it took before is not counted."""
        now = {}
        for name, told in nodes.items():
            who, tasks = (name, int(told.get("pid", 0))), int(told.get("tasks", 0))
            pool = str(told.get("type", ""))
            self._sums[pool] = self._sums.get(pool, 0) + max(0, tasks - self._last.get(who, tasks))
            now[who] = tasks
        # One that was late with its word for a moment comes back: it is not new then.
        self._last = {**self._last, **now} if len(self._last) < 1000 else now  # noqa: PLR2004 -- bounded, that is all

    def of(self, pool: str) -> int:
        """Return how many the nodes of a pool have taken."""
        return self._sums.get(pool, 0)
