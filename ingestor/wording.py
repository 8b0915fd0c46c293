"""Numbers in sentences for people; formats nothing else."""

from __future__ import annotations


def number_of(count: int, what: str) -> str:
    """Return a count with its noun: "1 gap", "2,000 gaps"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
