"""Numbers in sentences for people; formats nothing else."""

from __future__ import annotations


def number_of(count: int, what: str) -> str:
    """Return a count with its noun: "1 gap", "2,000 gaps", "2 entities"."""
    return f"{count:,} {what if count == 1 else _several(what)}"


def times(count: int) -> str:
    """Return how often: "once", "2 times", "never"."""
    return {0: "never", 1: "once"}.get(count, f"{count:,} times")


def milliseconds(value: float) -> str:
    """Return a time in milliseconds in the unit in which people say it: "50 ms", "4.2 s", "70 min", "3 h"."""
    for most, unit, in_ms in ((1_000, "ms", 1), (120_000, "s", 1_000), (7_200_000, "min", 60_000)):
        if abs(value) < most:
            break
    else:
        unit, in_ms = "h", 3_600_000
    said = f"{value / in_ms:,.1f}".removesuffix(".0") if unit != "ms" else f"{value:,.0f}"
    return f"{said} {unit}"


def _several(what: str) -> str:
    if what.endswith("y") and what[-2:-1] not in "aeiou":
        return f"{what[:-1]}ies"
    return f"{what}s"
