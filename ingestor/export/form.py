"""What every form of a file can do; knows none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ingestor.events.point import StoredEvent


class FileWriter(Protocol):
    """Turns events into the bytes of one file, piece by piece. `begin`, then any number of `add`, then `end`."""

    def begin(self) -> bytes:
        """Return what stands before the first event."""
        ...

    def add(self, events: Sequence[StoredEvent]) -> bytes:
        """Return the bytes of some events; fewer or none where the form collects them."""
        ...

    def end(self) -> bytes:
        """Return what was collected, and what stands after the last event."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a file.

    `suffix` is how such files are called; `is_packed`: it is compressed in itself.

    `is_text`: a terminal can show it.
    """

    name: str
    media_type: str
    suffix: str
    open: Callable[[], FileWriter]
    is_packed: bool = False
    is_text: bool = False
