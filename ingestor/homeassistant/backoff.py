"""How long to wait before the next attempt to connect; waits for nothing itself."""

from __future__ import annotations

import random


def pause_s(attempt: int, longest_s: float, *, chance: random.Random | None = None) -> float:
    """Return seconds to wait before attempt number `attempt` (from 1): "full jitter", doubling from one second.

    Any moment up to the limit is as likely, so that many clients do not return to a restarted server as one.
    """
    limit = min(longest_s, 2.0 ** min(attempt - 1, 30))
    source = chance or random.Random()  # noqa: S311 - spreads load, keeps no secret
    return source.uniform(0, limit)
