"""Gives memory back to the system that a long-lived process has freed: glibc keeps it (12 MB after our imports)."""

from __future__ import annotations

import ctypes
import gc
import time
from typing import Final

_EVERY_S: Final = 60.0


class MemoryTrim:
    """Trims when it is called, at most once a minute; does nothing where the C library cannot."""

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._due_at = 0.0

    def __call__(self) -> None:
        """Trim, if it is due."""
        if self._trim is None or time.monotonic() < self._due_at:
            return
        if not self._due_at:
            # What the imports left stays for ever: the collector need not look at it again.
            gc.collect()
            gc.freeze()
        self._due_at = time.monotonic() + _EVERY_S
        self._trim(0)
