"""Which messages somebody wants to hear: names and globs; of one kind any may fit, of different kinds all must."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Final

from ingestor import errors, globs
from ingestor.live.envelope import Messages, Subject
from ingestor.live.names import NAMES

#: Most patterns of one kind, and the longest.
MOST_PATTERNS: Final = 50
LONGEST_PATTERN: Final = 255
_OURS: Final = tuple({name.partition(".")[0] + "." for name in NAMES})


@dataclass(frozen=True, slots=True)
class LiveFilter:
    """What is wanted; an empty kind takes all.

    Entities and types are globs; a type is a message's (`event.new`) or Home Assistant's (`call_service`). Areas and
    devices are names, in whatever case.
    """

    entities: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise Rejected where a pattern is too long, there are too many, or no message ever has such a type."""
        for kind in (self.entities, self.domains, self.areas, self.devices, self.types, self.homes):
            if len(kind) > MOST_PATTERNS or any(not 0 < len(one) <= LONGEST_PATTERN for one in kind):
                raise errors.Rejected(
                    "invalid_filter", f"at most {MOST_PATTERNS} patterns of 1 to {LONGEST_PATTERN} signs"
                )
        for one in self.types:
            # Home Assistant's own types are whatever an integration likes; ours are known.
            if one.startswith(_OURS) and not any(_glob((one,)).match(name) for name in NAMES):
                raise errors.Rejected(
                    "invalid_filter", f"no message is of type {one!r:.60}; there are {', '.join(NAMES)}"
                )

    def takes_home(self, home: str) -> bool:
        """Tell whether messages of that home are wanted at all."""
        return not self.homes or home in self.homes

    def select(self, messages: Messages) -> tuple[int, ...]:
        """Return the indices of the messages that are wanted."""
        if not self.takes_home(messages.home):
            return ()
        if self.takes_all_of_a_home:
            return tuple(range(len(messages)))
        return tuple(index for index, subject in enumerate(messages.subjects) if self._takes(subject))

    @property
    def takes_all_of_a_home(self) -> bool:
        """Whether nothing but the home is asked for."""
        return not (self.entities or self.domains or self.areas or self.devices or self.types)

    def _takes(self, subject: Subject) -> bool:
        return (
            (not self.types or _has_type(self.types, subject))
            and (not self.domains or subject.domain in self.domains)
            and (not self.entities or _glob(self.entities).match(subject.entity_id) is not None)
            and (not self.areas or subject.area.casefold() in _folded(self.areas))
            and (not self.devices or subject.device.casefold() in _folded(self.devices))
        )


def _has_type(types: tuple[str, ...], subject: Subject) -> bool:
    wanted = _glob(types).match
    return wanted(subject.name) is not None or wanted(subject.event_type) is not None


@functools.lru_cache(maxsize=1024)
def _glob(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return globs.compiled(patterns)


@functools.lru_cache(maxsize=1024)
def _folded(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names)
