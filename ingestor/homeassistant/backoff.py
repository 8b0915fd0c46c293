"""How long to wait before the next attempt to connect; waits for nothing itself."""

from __future__ import annotations

import random
from typing import Final

#: A restart of Home Assistant takes a few seconds to a minute, and what it says while it starts cannot be read back.
_RESTART_S: Final = 60.0
_DURING_RESTART_S: Final = 2.0


def pause_s(attempt: int, longest_s: float, *, chance: random.Random | None = None) -> float:
    """Return seconds to wait before attempt number `attempt` (from 1): "full jitter", doubling from one second.

    Any moment up to the limit is as likely, so that many clients do not return to a restarted server as one.
    """
    limit = min(longest_s, 2.0 ** min(attempt - 1, 30))
    source = chance or random.Random()  # noqa: S311 - spreads load, keeps no secret
    return source.uniform(0, limit)


def longest_pause_s(lost_for_s: float | None, longest_s: float) -> float:
    """Return the limit of a pause, so long after a good connection was lost (None: there was none).

    For the first minute it is short: a home that restarts should be heard again from its first words on.
    """
    if lost_for_s is not None and lost_for_s < _RESTART_S:
        return min(_DURING_RESTART_S, longest_s)
    return longest_s
