"""How many worker nodes a pool should have, by the age of its oldest waiting batch; pure logic, starts none.

More are wanted at once and in one leap: what comes and what a node takes tell how many. They are given back slowly,
and only where what is left can carry what comes; who had to take them again waits longer the next time.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

#: A new node is at work after some seconds; before that nobody can tell whether it is enough.
SETTLE_S: Final = 8.0
#: Within this time what waits should be gone, with the nodes that are wanted for it.
_DRAIN_S: Final = 10.0
#: Nodes tell every second what they took.
_STILL_S: Final = 1.6
#: All must have been well for so long before a node is given back.
CALM_S: Final = 20.0
#: Between two that are given back.
_STEP_S: Final = 10.0
#: Share of what the nodes that are left can take, that may come.
_FULL_AT: Final = 0.7
#: Calm means: younger than this share of the age at which nodes are added.
_CALM_BELOW: Final = 0.5
#: Who gave back too early waits twice as long the next time, up to this.
_LONGEST_CALM_S: Final = 600.0
_REGRET_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A pool's queue, its nodes on all hosts that work, and how many hosts scale it, each for itself.

    `still_s`: how long ago a message was taken.
    """

    age_s: float
    waiting: int
    come_per_s: float
    taken_per_s: float
    nodes: int
    hosts: int = 1
    still_s: float = 0.0


class Autoscaler:
    """Decides for one pool; `step` is called about once a second with what is seen."""

    def __init__(self, grow_at_s: float) -> None:
        self._grow_at_s = grow_at_s
        self._extra = 0
        self._changed_s = self._shrunk_s = float("-inf")
        self._calm_since_s: float | None = None
        self._calm_s = CALM_S
        self._per_node = 0.0
        #: The most that a node took since more were wanted: while others start, all of them seem to take less.
        self._most_per_node = 0.0
        self._came: deque[tuple[float, float]] = deque(maxlen=1000)

    def step(self, now_s: float, seen: Seen, least: int, most: int) -> int:
        """Return how many nodes are wanted, from `least` to `most`."""
        self._extra = max(0, min(self._extra, most - least))
        self._note(now_s, seen)
        if seen.age_s >= self._grow_at_s:
            self._grow(now_s, seen, most - least)
        elif self._extra and self._is_calm(now_s):
            self._give_back(now_s, seen)
        return least + self._extra

    def _note(self, now_s: float, seen: Seen) -> None:
        self._came.append((now_s, seen.come_per_s))
        while now_s - self._came[0][0] > CALM_S:
            self._came.popleft()
        if seen.age_s >= self._grow_at_s:
            self._most_per_node = max(self._most_per_node, seen.taken_per_s / max(1, seen.nodes))
        elif not self._extra:
            self._most_per_node = 0.0
        if seen.age_s >= self._grow_at_s * _CALM_BELOW:
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s

    def _grow(self, now_s: float, seen: Seen, most_extra: int) -> None:
        """Want as many as carry what comes and take what waits. Where nobody takes any, more would not either."""
        if now_s - self._changed_s < SETTLE_S or not _takes(seen) or self._extra >= most_extra:
            return
        self._per_node = seen.taken_per_s / max(1, seen.nodes)
        needed = math.ceil((seen.come_per_s + seen.waiting / _DRAIN_S) / self._per_node)
        more = max(1, math.ceil((needed - seen.nodes) / seen.hosts))
        self._extra = min(most_extra, self._extra + more)
        self._changed_s = now_s
        if now_s - self._shrunk_s < _REGRET_S:
            self._calm_s = min(_LONGEST_CALM_S, self._calm_s * 2)

    def _is_calm(self, now_s: float) -> bool:
        """Tell whether all was well for long enough, and no change is under way."""
        if self._calm_since_s is None or now_s - self._changed_s < max(SETTLE_S, _STEP_S):
            return False
        return now_s - self._calm_since_s >= self._calm_s

    def _give_back(self, now_s: float, seen: Seen) -> None:
        """Give back half of what is not needed."""
        came = max(per_s for _, per_s in self._came)
        needed = math.ceil(came / (self._most_per_node * _FULL_AT)) if self._most_per_node else 1
        spare = min(self._extra, math.ceil((seen.nodes - needed) / seen.hosts))
        if spare > 0:
            self._extra -= math.ceil(spare / 2)
            self._changed_s = self._shrunk_s = now_s
        elif now_s - self._shrunk_s > _LONGEST_CALM_S:
            self._calm_s = CALM_S


def _takes(seen: Seen) -> bool:
    return seen.taken_per_s > 0 and seen.still_s <= _STILL_S
