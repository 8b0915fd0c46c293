"""How far the filling of a gap is, and how much of it is asked for next; asks for nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_S_US: Final = 1_000_000
FIRST_SLICE_US: Final = 60 * _S_US
SHORTEST_SLICE_US: Final = _S_US
_LONGEST_SLICE_US: Final = 6 * 3600 * _S_US
_MANY_ROWS: Final = 40_000
_FEW_ROWS: Final = 5_000


@dataclass(slots=True)
class Progress:
    """How far a gap is; what `GapRecord.progress` holds.

    `next_us` and `next_entity` are what is asked for next, in slices of `slice_us`. `unseen` entities had no row so
    far. `covered` tells whether the recorder reaches back to the beginning, `oldest_us` is the oldest row of the gap.
    """

    stage: str = "waiting"
    since_s: float = 0.0
    entities: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    from_us: int = 0
    until_us: int = 0
    next_us: int = 0
    next_entity: int = 0
    slice_us: int = FIRST_SLICE_US
    rows_in_slice: int = 0
    covered: bool = True
    oldest_us: int = 0
    refusals: int = 0
    units: dict[str, str | None] = field(default_factory=dict)
    hours: int = 0
    looks: int = 0

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Progress:
        """Return what was kept, maybe by another version."""
        return cls(**{name: value for name, value in kept.items() if name in cls.__slots__})

    def as_dict(self) -> dict[str, Any]:
        """Return it as it is kept."""
        return {name: getattr(self, name) for name in self.__slots__}

    def become(self, other: Progress) -> None:
        """Take over all of another one."""
        for name in self.__slots__:
            setattr(self, name, getattr(other, name))

    def next_slice(self, end_us: int) -> None:
        """Go on with the first entity of the next slice: a longer one after few rows, a shorter one after many."""
        self.next_us, self.next_entity = end_us, 0
        if self.rows_in_slice > _MANY_ROWS:
            self.slice_us = max(SHORTEST_SLICE_US, self.slice_us // 2)
        elif self.rows_in_slice < _FEW_ROWS:
            self.slice_us = min(_LONGEST_SLICE_US, self.slice_us * 2)
        self.rows_in_slice = 0
