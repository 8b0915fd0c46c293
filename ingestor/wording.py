"""Numbers in sentences for people; formats nothing else."""

from __future__ import annotations

from typing import Final

_MS_OF_S: Final = 1_000
#: From how many milliseconds on, how many of them the unit has, its name.
_LONGER: Final = ((7_200_000, 3_600_000, "h"), (120_000, 60_000, "min"), (_MS_OF_S, _MS_OF_S, "s"))


def number_of(count: int, what: str) -> str:
    """Return a count with its noun: "1 gap", "2,000 gaps", "2 entities"."""
    return f"{count:,} {what if count == 1 else _several(what)}"


def times(count: int) -> str:
    """Return how often: "once", "2 times", "never"."""
    return {0: "never", 1: "once"}.get(count, f"{count:,} times")


def milliseconds(value: float) -> str:
    """Return a time in milliseconds in the unit in which people say it: "50 ms", "4.2 s", "70 min", "3 h"."""
    if abs(value) < _MS_OF_S:
        return f"{value:,.0f} ms"
    in_ms, unit = next(((size, name) for least, size, name in _LONGER if abs(value) >= least))
    return f"{value / in_ms:,.1f}".removesuffix(".0") + f" {unit}"


def _several(what: str) -> str:
    if what.endswith("y") and what[-2:-1] not in "aeiou":
        return f"{what[:-1]}ies"
    return f"{what}s"
