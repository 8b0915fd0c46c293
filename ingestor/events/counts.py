"""What becomes of events, counted by hour: the values of the ledger; counts nothing itself.

The unit is the event formed. Of what is still on its way only frames are known: a frame counts as one event until
`validate` has formed its events.
"""

from __future__ import annotations

from typing import Final

import msgspec

_HOUR_S: Final = 3600
_HOUR_NS: Final = _HOUR_S * 1_000_000_000


def hour_of(time_ns: int) -> int:
    """Return the beginning of the hour that a Unix time in nanoseconds lies in, in Unix seconds."""
    return time_ns // _HOUR_NS * _HOUR_S


class Counts(msgspec.Struct, array_like=True):
    """Counts of one source in one hour of receipt.

    `frames` were taken in, `settled` of them have ended (their batch is done, or they are lost); `received` events
    were formed from these, and each of them ended in one of the ways that follow. `lost` are events (or frames of
    which no event was formed) that are in nobody's hands any more; `recovered` of these were read back since from
    history, where they count as received once more.
    """

    frames: int = 0
    settled: int = 0
    received: int = 0
    written: int = 0
    duplicate: int = 0
    rejected: int = 0
    filtered: int = 0
    lost: int = 0
    recovered: int = 0

    def add(self, other: Counts) -> None:
        """Add other counts to these."""
        for name in FIELDS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def in_flight(self) -> int:
        """Frames that are in a journal, a queue or a worker."""
        return self.frames - self.settled

    @property
    def total(self) -> int:
        """Everything that was received: formed, on its way, or lost."""
        return self.received + self.in_flight + self.lost

    @property
    def missing(self) -> int:
        """What was lost and not read back."""
        return max(0, self.lost - self.recovered)

    @property
    def unexplained(self) -> int:
        """Events that were formed and did not end (or ended more than once); 0 where the balance holds."""
        return self.received - self.written - self.duplicate - self.rejected - self.filtered

    @property
    def balances(self) -> bool:
        """Tell whether received = written + duplicate + rejected + filtered + in flight + lost."""
        return self.unexplained == 0 and self.in_flight >= 0


#: The counts by name, in their order.
FIELDS: Final = Counts.__struct_fields__


class Page(msgspec.Struct, array_like=True, frozen=True):
    """What one book counted since its last page: added to the ledger once, however often it is handed in.

    A book belongs to one journal for as long as its disk lasts. Its pages are numbered from 1; what is in a page never
    changes. `hours` counts by hour of receipt, `stored` counts new points by the hour of their own time (Unix seconds).
    """

    book: str
    number: int
    home: str
    source: str
    journal: str
    hours: dict[int, Counts]
    stored: dict[int, int]
