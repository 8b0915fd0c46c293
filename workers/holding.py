"""What a worker node holds, for how long, and how busy its processes were of late; looks, and changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

#: The share of busy processes is of about so many looks, one a second.
_LOOKS: Final = 10
#: Tasks that are told one by one, the oldest first, and how much of what each is about: who sends says that.
_TOLD: Final = 8
_MOST_SIGNS: Final = 160


class Holding:
    """Looked at about once a second, by one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since_s: dict[str, float] = {}
        self._busy = 0.0

    def look(self, held: Sequence[tuple[str, str, str]], active: int, processes: int) -> dict[str, Any]:
        """Return how many tasks are held, the oldest of them, and the share of processes that were busy.

        `held`: id, name and what it is about of each.
        """
        now_s = self._clock()
        self._since_s = {task: self._since_s.get(task, now_s) for task, _, _ in held}
        share = min(1.0, active / processes) if processes else 0.0
        self._busy += (share - self._busy) / _LOOKS
        oldest_s = now_s - min(self._since_s.values(), default=now_s)
        oldest = sorted(held, key=lambda task: self._since_s[task[0]])[:_TOLD]
        told = [
            {"task": name, "about": about[:_MOST_SIGNS], "for_s": round(now_s - self._since_s[task], 1)}
            for task, name, about in oldest
        ]
        return {
            "holds": len(self._since_s),
            "oldest_s": round(oldest_s, 1),
            "busy": round(self._busy, 2),
            "in_hand": told,
        }
