"""How much of what is for somebody they want: so many messages a second, or a share of all. Lets nothing wait."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Final

from ingestor import errors

#: More than this a second is no limit any more.
MOST_PER_S: Final = 100_000
_ALL: Final = 2**32
#: A message that is due must not wait for what rounding has left out.
_ROUNDING: Final = 1e-6


class Pace:
    """A limit of messages a second (a second's worth may come at once) and a share of all; None asks for no limit.

    Raises Unanswerable where a limit is none that can be kept, such as a rate without end, or what is no number.
    Which messages belong to the share is in the messages: everybody who asks for the same share hears the same ones.
    """

    def __init__(
        self,
        *,
        max_per_s: float | None = None,
        sample: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Said so that what is no number (NaN) is outside.
        if max_per_s is not None and not 0 < max_per_s <= MOST_PER_S:
            raise errors.Unanswerable(f"messages a second are limited to more than 0 and at most {MOST_PER_S:,}")
        if sample is not None and not 0 < sample <= 1:
            raise errors.Unanswerable("sample is a share: more than 0 and at most 1")
        self._per_s = max_per_s
        self._most = max(1.0, max_per_s or 0.0)
        self._left = self._most
        self._below = None if sample is None else int(sample * _ALL)
        self._clock = clock
        self._at_s = clock()
        self.skipped = 0

    @property
    def limits(self) -> bool:
        """Whether anything is ever left out."""
        return self._per_s is not None or self._below is not None

    def select(self, rendered: Sequence[bytes]) -> list[bytes]:
        """Return those that are wanted; what the rate leaves out is counted in `skipped`."""
        below = self._below
        found = list(rendered) if below is None else [one for one in rendered if _number(one) < below]
        if self._per_s is None:
            return found
        now_s = self._clock()
        self._left = min(self._most, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        taken = min(len(found), int(self._left + _ROUNDING))
        self._left -= taken
        self.skipped += len(found) - taken
        return found[:taken]


def _number(message: bytes) -> int:
    # No checksum: of messages that are nearly the same it makes numbers that are not spread.
    return int.from_bytes(hashlib.blake2b(message, digest_size=4).digest(), "big")
