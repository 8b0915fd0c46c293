"""Opens and closes problems, each once: what is bad must be so for a while, and good again for a while; finds none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from ingestor.quality.model import Problem, ProblemKind, Scope


class Patience(NamedTuple):
    """A problem opens after so much bad (hours, or what `count` says) and closes after so many good hours.

    `timed`: hours without any event count as good or bad, too.
    """

    bad: int
    good: int
    timed: bool
    advice: str


K = ProblemKind
PATIENCE: Final[dict[ProblemKind, Patience]] = {
    K.FROZEN: Patience(2, 1, True, "Restart or re-pair the device; look at its battery."),
    K.DEAD: Patience(2, 1, True, "Look at battery, power and radio of the device."),
    K.HUB_DEAD: Patience(1, 1, True, "Look at the hub itself: power, network, its integration in Home Assistant."),
    K.FLAPPING: Patience(2, 6, False, "Bring it nearer to its hub, or add a router between them."),
    K.UNAVAILABLE: Patience(12, 1, True, "Look at the device and at its integration; remove it if it is gone."),
    K.COUNTER_RESET: Patience(1, 2, True, "Use the cleaned value; look at whether the meter was exchanged."),
    K.UNIT_CHANGED: Patience(2, 3, False, "Set the unit back, or convert it by a setting (quality.temperature)."),
    K.TYPE_CHANGED: Patience(3, 3, False, "Look at what the integration or template changed."),
    K.SCHEMA_DRIFT: Patience(24, 3, False, "Look at what an update of the integration changed."),
    K.CLOCK_OFF: Patience(2, 3, False, "Set clock and time zone of what stamps these events."),
    K.DUPLICATE_SOURCE: Patience(6, 24, False, "Leave one of the two out."),
    K.RUBBISH: Patience(3, 36, True, "Look at the radio link; reject it by a rule of your own."),
    K.OUT_OF_BOUNDS: Patience(3, 24, True, "Calibrate or exchange the sensor, or reject it by a rule."),
    K.SPIKES: Patience(3, 24, True, "Filter them by a rule with bounds."),
    K.DISAGREES: Patience(12, 6, False, "Look at where it hangs; calibrate it."),
    K.GAP: Patience(1, 1, True, "See `ha-ingestor gaps`."),
    K.LATE: Patience(3, 3, False, "Look at the load of Home Assistant and at the network."),
    K.VOLUME: Patience(4, 6, True, "Look at what makes it talk; a dead-band may help."),
    K.DISTRIBUTION: Patience(12, 12, False, "Look at whether it was moved, exchanged or set anew."),
}


#: What is not a problem yet is let go after so many good hours, where chance can look like it.
_DOUBT: Final = {K.DUPLICATE_SOURCE: 6}


class Watch(msgspec.Struct, gc=False):
    """Something that looks bad; a problem once it is `opened`."""

    kind: ProblemKind
    scope: Scope
    subject: str
    since_us: int
    last_us: int
    bad: int = 0
    good: int = 0
    count: int = 0
    opened: bool = False
    told: bool = False
    evidence: str = ""


class Watches:
    """All watches of a home by kind, scope and subject. `active` comes from the hour before."""

    def __init__(self, active: Iterable[Watch] = ()) -> None:
        self.active = {(watch.kind, watch.scope, watch.subject): watch for watch in active}

    def bad(
        self,
        kind: ProblemKind,
        scope: Scope,
        subject: str,
        span: tuple[int, int],
        evidence: str = "",
        *,
        weight: int = 1,
        count: int = 1,
    ) -> None:
        """Say that a subject is bad in a span of time (Unix µs)."""
        since_us, until_us = span
        key = (kind, scope, subject)
        watch = self.active.get(key)
        if watch is None:
            watch = self.active[key] = Watch(kind, scope, subject, since_us, until_us)
        watch.bad += weight
        watch.good = 0
        watch.count += count
        watch.told = True
        watch.last_us = max(watch.last_us, until_us)
        watch.opened = watch.opened or watch.bad >= PATIENCE[kind].bad
        watch.evidence = evidence or watch.evidence

    def is_open(self, kind: ProblemKind, scope: Scope, subject: str) -> bool:
        """Tell whether there is such a problem now."""
        watch = self.active.get((kind, scope, subject))
        return watch is not None and watch.opened

    def drop(self, kind: ProblemKind, scope: Scope, subject: str) -> None:
        """Forget what has not become a problem: another one explains it."""
        watch = self.active.get((kind, scope, subject))
        if watch is not None and not watch.opened:
            del self.active[kind, scope, subject]

    def hold(self, kinds: Collection[ProblemKind]) -> None:
        """Let what is bad in these ways stay as it is in this hour: nobody could have heard that it is good again."""
        for watch in self.active.values():
            watch.told = watch.told or watch.kind in kinds

    def close(self, kind: ProblemKind, scope: Scope, subject: str) -> None:
        """End a problem in this hour, whatever else is said."""
        watch = self.active.get((kind, scope, subject))
        if watch is not None:
            watch.told, watch.good = False, PATIENCE[kind].good

    def end_hour(self, heard: set[str]) -> Iterator[Problem]:
        """Count good hours; yield the problems that ended. `heard`: subjects that said something in this hour."""
        for key, watch in list(self.active.items()):
            patience = PATIENCE[watch.kind]
            if watch.told:
                watch.told = False
                continue
            watch.good += patience.timed or watch.scope is not Scope.ENTITY or watch.subject in heard
            if watch.good >= (patience.good if watch.opened else min(patience.good, _DOUBT.get(watch.kind, 99))):
                del self.active[key]
                if watch.opened:
                    yield problem_of(watch, watch.last_us)

    def open(self) -> list[Problem]:
        """Return the problems that are there now."""
        return [problem_of(watch, None) for watch in self.active.values() if watch.opened]


def problem_of(watch: Watch, until_us: int | None) -> Problem:
    """Return a watch as a problem."""
    return Problem(
        watch.kind,
        watch.scope,
        watch.subject,
        watch.since_us,
        until_us,
        watch.count,
        watch.evidence,
        PATIENCE[watch.kind].advice,
    )
