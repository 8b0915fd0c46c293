"""How long batches have been known, by their order and a clock that nobody sets (rule 15); decides nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

#: Ages are told to this many seconds: 16 bytes each, for as long as a batch of that time is not done.
_GRAIN_S: Final = 10.0


class Ages:
    """When each sequence number was there at the latest. What an earlier run left is as old as this run."""

    def __init__(self, last_seq: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[int, float]] = deque([(last_seq, clock())])

    def note(self, last_seq: int) -> None:
        """Note that batches up to this number are there now."""
        now_s = self._clock()
        newest_seq, at_s = self._seen[-1]
        if now_s - at_s >= _GRAIN_S or not newest_seq:
            self._seen.append((last_seq, now_s))
        else:
            self._seen[-1] = (last_seq, at_s)

    def age_s(self, seq: int) -> float:
        """Return for how long a batch has been known; earlier ones are not asked for again."""
        while len(self._seen) > 1 and self._seen[0][0] < seq:
            self._seen.popleft()
        return max(0.0, self._clock() - self._seen[0][1])
