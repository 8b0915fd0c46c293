"""Which message ends the connection again and again: found by sending one at a time. Sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

#: A message with which the connection ended so often, while it alone was on its way, is passed over.
MOST_ENDS: Final = 3


class Sent(NamedTuple):
    """A message that was given to the broker. `key` is the same whenever it is given again."""

    key: str
    name: str
    topic: str
    size: int


class Suspects:
    """Tells which message goes alone, and which no more. A broker has at most `inflight` at once."""

    def __init__(self, inflight: int) -> None:
        self._inflight = inflight
        self._key = ""
        self._ends = 0
        #: Those that were at the broker when the connection ended, and are not over.
        self._at_broker: set[str] = set()

    def goes_alone(self, key: str) -> bool:
        """Tell whether this message goes when nothing else is on its way."""
        return bool(self._at_broker) or self.is_guilty(key)

    def ended(self, under_way: Sequence[Sent]) -> None:
        """Note that the connection ended with these on their way, the oldest first."""
        self._at_broker.update(sent.key for sent in under_way[: self._inflight])
        if len(under_way) == 1:
            key = under_way[0].key
            self._ends = self._ends + 1 if key == self._key else 1
            self._key = key

    def is_guilty(self, key: str) -> bool:
        """Tell whether a message is to be passed over."""
        return key == self._key and self._ends >= MOST_ENDS

    def over(self, key: str) -> None:
        """Note that a message was taken, or passed over."""
        self._at_broker.discard(key)
        if key == self._key:
            self._key, self._ends = "", 0

    def forget_before(self, key: str) -> None:
        """Let go of what was before a gap: it does not come again."""
        self._at_broker &= {key}
