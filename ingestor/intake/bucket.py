"""How much of the queues a home may take while other homes want them too: a token bucket that is pure logic.

Where batches wait in a queue, everybody who uses what it may take is slowed down, and all go faster again once none
wait. Who sends little never comes near its share: so a noisy home waits in its own journal, not others behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

#: Batches waiting in a queue from which on it counts as crowded.
CROWDED: Final = 2
#: A home always may send so many events a second: a large home's usual load, and a tenth of what a small machine takes.
LEAST_PER_S: Final = 50.0
_MOST_PER_S: Final = 50_000.0
_SLOWER: Final = 0.7
#: Faster by as much for everybody, slower by a share: so that homes which want too much come to have the same.
_FASTER_PER_S: Final = 100.0
#: Tokens that are saved up, in seconds.
_SAVED_S: Final = 0.5
#: Faster so often, and slower after so long: what was slowed must be seen in the queues first.
_FASTER_EVERY_S: Final = 0.1
_SLOWER_EVERY_S: Final = 0.4
#: Share of the past in the rate at which a home sends.
_PAST: Final = 0.8


class HomeBucket:
    """The bucket of one listener. `most_per_s`: what is never passed, 0 for no such limit; for one thread."""

    def __init__(self, most_per_s: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._most_per_s = most_per_s or _MOST_PER_S
        self._least_per_s = min(LEAST_PER_S, self._most_per_s)
        self.per_s = self._most_per_s
        self._tokens = self.per_s * _SAVED_S
        self._filled_s = self._looked_s = clock()
        self._slowed_s = float("-inf")
        self._sent = 0
        self._sent_per_s = 0.0

    def measured(self, deepest: int) -> None:
        """Take in how many batches wait in the deepest queue."""
        now_s = self._clock()
        since_s = now_s - self._looked_s
        if since_s < _FASTER_EVERY_S:
            return
        self._fill(now_s)
        self._sent_per_s = self._sent_per_s * _PAST + self._sent / since_s * (1 - _PAST)
        self._sent, self._looked_s = 0, now_s
        if deepest < CROWDED:
            self.per_s = min(self._most_per_s, self.per_s + _FASTER_PER_S)
        elif self._sent_per_s > LEAST_PER_S and now_s - self._slowed_s >= _SLOWER_EVERY_S:
            # From what it really sent: what it might have sent says nothing.
            self.per_s = max(self._least_per_s, min(self.per_s, self._sent_per_s) * _SLOWER)
            self._slowed_s = now_s
        self._tokens = min(self._tokens, self.per_s * _SAVED_S)

    def has_room(self) -> bool:
        """Tell whether a batch may be sent now."""
        self._fill(self._clock())
        return self._tokens > 0

    def sent(self, events: int) -> None:
        """Note a batch that was sent. A large one is paid for afterwards."""
        self._tokens -= events
        self._sent += events

    def _fill(self, now_s: float) -> None:
        self._tokens = min(self.per_s * _SAVED_S, self._tokens + (now_s - self._filled_s) * self.per_s)
        self._filled_s = now_s
