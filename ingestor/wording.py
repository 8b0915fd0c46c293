"""Numbers in sentences for people; formats nothing else."""

from __future__ import annotations


def number_of(count: int, what: str) -> str:
    """Return a count with its noun: "1 gap", "2,000 gaps", "2 entities"."""
    return f"{count:,} {what if count == 1 else _several(what)}"


def times(count: int) -> str:
    """Return how often: "once", "2 times", "never"."""
    return {0: "never", 1: "once"}.get(count, f"{count:,} times")


def _several(what: str) -> str:
    if what.endswith("y") and what[-2:-1] not in "aeiou":
        return f"{what[:-1]}ies"
    return f"{what}s"
