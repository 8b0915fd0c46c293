"""An export job: what was asked for, how far it is, and what became of it; a plain value, kept as JSON."""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from ingestor.export.forms import FORMS
from ingestor.storage.port import EventQuery

State = Literal["waiting", "reading", "joining", "ready", "failed", "expired"]
#: What somebody still has to work on.
OPEN: frozenset[State] = frozenset({"waiting", "reading", "joining"})
#: Which share of the whole is done when all is read and nothing is joined.
_READ_SHARE = 0.7


class ExportJob(msgspec.Struct, kw_only=True):
    """A job. Times end in `_us` or `_ns` (Unix); `next_ns` is where reading goes on.

    `joined` counts rows in the file, `joins` the processes that were started to make it. `slices` are read and
    on the disk: who takes over goes on behind them.
    """

    job_id: str
    name: str
    form: str
    packed: str | None
    query: EventQuery
    by: str
    created_us: int
    state: State = "waiting"
    first_ns: int = 0
    until_ns: int = 0
    next_ns: int = 0
    slices: int = 0
    rows: int = 0
    joined: int = 0
    joins: int = 0
    started_us: int = 0
    finished_us: int = 0
    expires_us: int = 0
    size: int = 0
    etag: str = ""
    error: str = ""

    @property
    def file_name(self) -> str:
        """What the file is called by whoever fetches it."""
        return f"{self.name}.{FORMS[self.form].suffix}"

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1: by time while it is read, by rows while it is joined."""
        match self.state:
            case "ready" | "expired":
                return 1.0
            case "joining":
                return _READ_SHARE + (1 - _READ_SHARE) * (self.joined / self.rows if self.rows else 1.0)
            case "reading":
                # What is later than its beginning holds next to nothing, however long it is.
                whole = max(1, min(self.until_ns, self.created_us * 1000) - self.first_ns)
                return _READ_SHARE * min(1.0, max(0.0, (self.next_ns - self.first_ns) / whole))
        return 0.0

    def eta_s(self, now_us: int | None = None) -> float | None:
        """Return in how many seconds it may be ready; None where nobody can tell."""
        share = self.share
        if self.state not in OPEN or not self.started_us or share <= 0:
            return None
        now_us = time.time_ns() // 1000 if now_us is None else now_us
        return max(0.0, (now_us - self.started_us) / 1e6 * (1 - share) / share)
