"""Which spans of time a listener could not keep what was said; fills none of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

_log: Final = structlog.get_logger(__name__)
_REMEMBERED: Final = 100


@dataclass(frozen=True, slots=True)
class Gap:
    """A span (Unix nanoseconds) whose events are missing, from the last frame kept before to the first moment after.

    `reason`: "closed", "cut", "silent", "rubbish", "refused" (how a connection ended), "not_running" (the listener was
    not there) or "journal_full". `frames` and `events` are what was thrown away, where that is known; `end_ns` 0: not
    over yet.
    """

    reason: str
    start_ns: int
    end_ns: int = 0
    frames: int = 0
    events: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the gap for a status."""
        return {
            "reason": self.reason,
            "start_ns": self.start_ns,
            "end_ns": self.end_ns,
            "frames": self.frames,
            "events": self.events,
        }


class GapLog:
    """The gaps of one listener: at most one open for the connection, and one for the journal."""

    def __init__(self, last_kept_ns: int = 0) -> None:
        self.last_kept_ns = last_kept_ns
        self.past: deque[Gap] = deque(maxlen=_REMEMBERED)
        self.journal: Gap | None = None
        self._connection: Gap | None = None

    def lose_connection(self, reason: str) -> None:
        """Begin a gap; nothing if one is open, or if nothing was ever heard that could be missing now."""
        if self._connection is None and self.last_kept_ns:
            self._connection = Gap(reason, self.last_kept_ns)

    def regain_connection(self, now_ns: int) -> Gap | None:
        """End the gap and return it."""
        gap, self._connection = self._connection, None
        return self._end(gap, now_ns)

    def drop(self, received_ns: int, events: int) -> None:
        """Count a frame that the journal did not take."""
        gap = self.journal or Gap("journal_full", self.last_kept_ns or received_ns)
        if self.journal is None:
            _log.error("journal_full", gap_start_ns=gap.start_ns)
        self.journal = replace(gap, frames=gap.frames + 1, events=gap.events + events)

    def keep_again(self, received_ns: int) -> Gap | None:
        """End the journal's gap with the first frame that it took, and return it."""
        gap, self.journal = self.journal, None
        return self._end(gap, received_ns)

    def _end(self, gap: Gap | None, end_ns: int) -> Gap | None:
        if gap is None:
            return None
        done = replace(gap, end_ns=end_ns)
        self.past.append(done)
        _log.warning("gap", **done.as_dict())
        return done

    def status(self) -> list[dict[str, Any]]:
        """Return the gaps, oldest first, with those not over yet at the end."""
        running = [gap for gap in (self._connection, self.journal) if gap is not None]
        return [gap.as_dict() for gap in (*self.past, *running)]
