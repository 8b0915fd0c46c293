"""What a worker node holds, for how long, and how busy its processes were of late; looks, and changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

#: The share of busy processes is of about so many looks, one a second.
_LOOKS: Final = 10


class Holding:
    """Looked at about once a second, by one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since_s: dict[str, float] = {}
        self._busy = 0.0

    def look(self, held: Iterable[str], active: int, processes: int) -> dict[str, Any]:
        """Return how many tasks are held, the age of the oldest, and the share of processes that were busy."""
        now_s = self._clock()
        self._since_s = {task: self._since_s.get(task, now_s) for task in held}
        share = min(1.0, active / processes) if processes else 0.0
        self._busy += (share - self._busy) / _LOOKS
        oldest_s = now_s - min(self._since_s.values(), default=now_s)
        return {"holds": len(self._since_s), "oldest_s": round(oldest_s, 1), "busy": round(self._busy, 2)}
