"""Which spans of time a listener could not keep what was said; fills none of them.

Times are Home Assistant's own, taken from its events: its clock and ours need not agree, and what we read late was
fired early. A gap begins with the last event that is in the journal, not with the moment in which we noticed.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from ingestor import errors
from ingestor.events.values import time_us

_log: Final = structlog.get_logger(__name__)
_REMEMBERED: Final = 100
_FIRED: Final = b'"time_fired":"'
_TYPE: Final = re.compile(rb'"event_type":"([A-Za-z0-9_.-]{1,255})"')
_LONGEST_TIME: Final = 40
#: The one type that Home Assistant keeps a history of.
FILLABLE: Final = "state_changed"


@dataclass(frozen=True, slots=True)
class Gap:
    """A span (Unix microseconds by Home Assistant's clock) whose events are missing; `end_us` 0: not over yet.

    `reason`: "restart" (Home Assistant stopped), "overload" (it dropped us for reading too slowly), "closed", "cut",
    "silent", "rubbish", "refused", "unreachable" (how else a connection ended), "not_running" (the listener was not
    there), "journal_lost" or "journal_full". `frames` and `events` were thrown away, `lost` of them by type for good.
    """

    reason: str
    start_us: int
    end_us: int = 0
    frames: int = 0
    events: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the gap for a status."""
        return {
            "reason": self.reason,
            "start_us": self.start_us,
            "end_us": self.end_us,
            "frames": self.frames,
            "events": self.events,
            "lost": dict(self.lost),
        }


class GapLog:
    """The gaps of one listener: at most one open for the connection, and one for the journal."""

    def __init__(self, last_kept_us: int = 0) -> None:
        self.last_kept_us = last_kept_us
        self.past: deque[Gap] = deque(maxlen=_REMEMBERED)
        self.journal: Gap | None = None
        self.connection: Gap | None = None

    def lose_connection(self, reason: str, start_us: int = 0) -> Gap | None:
        """Begin a gap and return it; None if one is open, or if nothing was ever heard that could be missing now."""
        start_us = start_us or self.last_kept_us
        if self.connection is not None or not start_us:
            return None
        self.connection = Gap(reason, start_us)
        return self.connection

    def regain_connection(self, now_us: int) -> Gap | None:
        """End the gap and return it."""
        gap, self.connection = self.connection, None
        return self._end(gap, now_us)

    def drop(self, payload: bytes, events: int, fired_us: int) -> Gap | None:
        """Count a frame that the journal did not take; return the gap that begins with it, if one does."""
        began = self.journal is None
        gap = self.journal or Gap("journal_full", self.last_kept_us or fired_us)
        if began:
            _log.error("journal_full", gap_start_us=gap.start_us)
        lost = Counter(name.decode() for name in _TYPE.findall(payload))
        del lost[FILLABLE]
        lost.update(gap.lost)
        self.journal = replace(gap, frames=gap.frames + 1, events=gap.events + events, lost=dict(lost))
        return self.journal if began else None

    def keep_again(self, fired_us: int) -> Gap | None:
        """End the journal's gap with the first frame that it took, and return it."""
        gap, self.journal = self.journal, None
        return self._end(gap, fired_us)

    def _end(self, gap: Gap | None, end_us: int) -> Gap | None:
        if gap is None:
            return None
        done = replace(gap, end_us=max(end_us, gap.start_us + 1))
        self.past.append(done)
        _log.warning("gap", **done.as_dict())
        return done

    def running(self) -> list[Gap]:
        """Return the gaps that are not over."""
        return [gap for gap in (self.connection, self.journal) if gap is not None]

    def status(self) -> list[dict[str, Any]]:
        """Return the gaps, oldest first, with those not over yet at the end."""
        return [gap.as_dict() for gap in (*self.past, *self.running())]


def last_fired_us(payload: bytes) -> int:
    """Return when the last event of a frame was fired, 0 where it does not say; decodes nothing.

    Within an event its time stands behind its data, so the last one in the bytes is the event's own.
    """
    start = payload.rfind(_FIRED) + len(_FIRED)
    if start < len(_FIRED):
        return 0
    end = payload.find(b'"', start, start + _LONGEST_TIME)
    try:
        return time_us(payload[start:end].decode("ascii"))
    except (errors.Rejected, UnicodeDecodeError):
        return 0
