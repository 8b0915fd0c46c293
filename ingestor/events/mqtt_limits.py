"""What a value template may use up: time of the processor, length of texts, size of numbers; evaluates nothing."""

from __future__ import annotations

import contextlib
import contextvars
import time
from collections.abc import Iterator
from typing import Any, Final

#: No text in a template may grow beyond this (characters).
MAX_TEXT: Final = 200_000
#: A payload that takes Jinja is no longer than this (characters): what a filter costs grows with it.
MAX_PAYLOAD: Final = 65_536
_MAX_BITS: Final = 4096
#: Of this thread's processor time: a machine that is busy with other things does not make a template slow.
_MAX_CPU_S: Final = 1.0

_until_s: contextvars.ContextVar[float] = contextvars.ContextVar("until_s", default=float("inf"))


@contextlib.contextmanager
def limited_time() -> Iterator[None]:
    """Let `require_time` raise after a second of work."""
    before = _until_s.set(time.thread_time() + _MAX_CPU_S)
    try:
        yield
    finally:
        _until_s.reset(before)


def require_time() -> None:
    """Raise ValueError where a template has run for too long."""
    if time.thread_time() > _until_s.get():
        raise ValueError(f"the template takes more than {_MAX_CPU_S:g} s")


def require_short(length: int) -> None:
    """Raise ValueError for a text that would be too long."""
    if length > MAX_TEXT:
        raise ValueError(f"the template makes more than {MAX_TEXT} characters")


def require_small(left: Any, right: Any) -> None:
    """Raise ValueError for a product that has more digits than any reading."""
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > _MAX_BITS:
        raise ValueError("the number is too large")
