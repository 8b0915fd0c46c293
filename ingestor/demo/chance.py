"""Chance that repeats itself: what is drawn depends on a key and a seed alone; keeps no secrets."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Final
from zlib import crc32

_WHOLE: Final = 2**32


def source(*key: object) -> random.Random:
    """Return a source of random numbers that is the same for the same key, in every process."""
    return random.Random(repr(key))  # noqa: S311 - a simulation, keeps no secret


def fraction(*key: object) -> float:
    """Return a number in [0, 1) that belongs to the key."""
    return crc32(repr(key).encode()) / _WHOLE


def noise(key: str, at: float) -> float:
    """Return a smooth curve in -1..1 that belongs to the key; it turns about once for each whole step of `at`."""
    step = int(at // 1)
    part = at - step
    weight = part * part * (3 - 2 * part)
    return _corner(key, step) * (1 - weight) + _corner(key, step + 1) * weight


@lru_cache(maxsize=65_536)
def _corner(key: str, step: int) -> float:
    return 2 * crc32(f"{key}/{step}".encode()) / _WHOLE - 1
