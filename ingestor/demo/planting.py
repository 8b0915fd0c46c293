"""Chooses which things of the demo home get which fault and when: from seed, span and things alone; changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from ingestor.demo import chance
from ingestor.demo.faults import (
    ClockOff,
    Copied,
    CounterReset,
    Fault,
    Faults,
    Flapping,
    Frozen,
    Rubbish,
    Silent,
    Truth,
    UnitChange,
    after,
)
from ingestor.demo.things import Thing

FaultName = Literal[
    "frozen",
    "flapping",
    "counter_reset",
    "unit_change",
    "clock_off",
    "dead_hub",
    "duplicate_source",
    "rubbish",
    "bad_link",
]
#: In the order in which they find whom to befall: the hub first, as it takes the most with it.
_ORDER: Final[tuple[FaultName, ...]] = (
    "dead_hub",
    "duplicate_source",
    "unit_change",
    "counter_reset",
    "frozen",
    "flapping",
    "clock_off",
    "bad_link",
    "rubbish",
)
#: All that there are but the bad link, which is the little sister of rubbish.
ALL: Final = tuple(name for name in _ORDER if name != "bad_link")
#: What a newcomer's home has: enough to be seen, and nothing that makes the rest of it look broken.
FEW: Final[tuple[FaultName, ...]] = ("unit_change", "counter_reset", "frozen", "flapping", "bad_link")
#: From when to when each holds, as shares of the span; no end: to its end.
_IN_SPAN: Final[Mapping[FaultName, tuple[float, float | None]]] = {
    "dead_hub": (0.60, 0.66),
    "duplicate_source": (0.0, None),
    "unit_change": (0.50, None),
    "counter_reset": (0.45, None),
    "frozen": (0.40, 0.70),
    "flapping": (0.55, 0.62),
    "clock_off": (0.70, 0.80),
    "rubbish": (0.85, 0.95),
    "bad_link": (0.05, None),
}
MINUTE_S: Final = 60.0
#: The same for a home that goes on for ever, in minutes from its start: a newcomer need not wait long.
IN_MINUTES: Final[Mapping[FaultName, tuple[float, float | None]]] = {
    "bad_link": (1, None),
    "duplicate_source": (1, None),
    "flapping": (2, None),
    "frozen": (3, None),
    "unit_change": (5, None),
    "counter_reset": (6, None),
    "clock_off": (10, 70),
    "dead_hub": (20, 80),
    "rubbish": (90, 150),
}
_LIVELY: Final = frozenset(("temperature", "humidity", "pressure", "co2", "voltage"))
_CONTACTS: Final = frozenset(("motion", "power", "voltage", "humidity", "co2"))
COPY: Final = "_2"
#: Who the whole home is, in a truth.
HOME: Final = "home"


@dataclass(frozen=True, slots=True)
class Span:
    """The time in which faults are planted: when each holds, counted from a start in units of so many seconds."""

    start_us: int
    seconds: float
    when: Mapping[FaultName, tuple[float, float | None]] = field(default_factory=lambda: _IN_SPAN)

    def of(self, name: FaultName) -> tuple[int, int | None]:
        """Return from when to when a fault holds."""
        since, until = self.when[name]
        end = None if until is None else after(self.start_us, until * self.seconds)
        return after(self.start_us, since * self.seconds), end


class Planter:
    """Chooses for one home. No device has two faults of its own; rubbish befalls all."""

    def __init__(self, things: Mapping[str, Thing], hubs: Mapping[str, str], seed: int, span: Span) -> None:
        """`hubs` has the device that each device hangs on."""
        self._things = [thing for _, thing in sorted(things.items())]
        self._hubs = hubs
        self._seed = seed
        self._span = span
        self._chance = chance.source("faults", seed)
        self._taken: set[str] = set()

    def plant(self, names: Collection[FaultName]) -> Faults:
        """Return the faults of these names; one that befalls nothing in this home is left out."""
        found = (_MAKERS[name](self, name) for name in _ORDER if name in names)
        return Faults([fault for fault in found if fault is not None])

    def truth(self, name: FaultName, kind: str, subject: str, subjects: Iterable[str], why: str) -> Truth:
        """Return what is true of a fault of this name."""
        since_us, until_us = self._span.of(name)
        return Truth(kind, subject, since_us, until_us, tuple(subjects), why)

    def one(self, fits: Callable[[Thing], bool]) -> Thing | None:
        """Return one that fits, of a device that has no fault yet; it has one from now on."""
        candidates = [
            thing for thing in self._things if thing.device_id and thing.device_id not in self._taken and fits(thing)
        ]
        if not candidates:
            return None
        chosen = self._chance.choice(candidates)
        self._taken.add(chosen.device_id)
        return chosen

    def device_of(self, thing: Thing) -> list[str]:
        """Return all entities of a thing's device."""
        return [one.entity_id for one in self._things if one.device_id == thing.device_id]

    def numbers(self) -> list[str]:
        """Return all entities that tell numbers."""
        return [one.entity_id for one in self._things if one.kind.unit]

    def hub(self) -> tuple[str, list[str]] | None:
        """Return one of the hubs with several devices but few entities, and the entities behind it."""
        below: dict[str, list[Thing]] = {}
        for thing in self._things:
            if (hub := self._hubs.get(thing.device_id)) is not None:
                below.setdefault(hub, []).append(thing)
        several = {hub: found for hub, found in below.items() if len({one.device_id for one in found}) > 1}
        if not several:
            return None
        small = sorted(several, key=lambda one: (len(several[one]), one))[:2]
        hub = self._chance.choice(small)
        self._taken.update({hub, *(thing.device_id for thing in several[hub])})
        return hub, [thing.entity_id for thing in several[hub]]

    @property
    def seed(self) -> int:
        """The seed of the home."""
        return self._seed


def _frozen(planter: Planter, name: FaultName) -> Fault | None:
    thing = planter.one(lambda one: one.kind.behaviour in _LIVELY)
    if thing is None:
        return None
    return Frozen(planter.truth(name, "frozen", thing.entity_id, [thing.entity_id], "says for days what it said once"))


def _flapping(planter: Planter, name: FaultName) -> Fault | None:
    # Nobody comes and goes in the garden often enough that it could be told from a quiet day.
    thing = planter.one(lambda one: one.kind.behaviour in _CONTACTS and one.area_id != "garden")
    if thing is None:
        return None
    why = "is unavailable every second time that it is heard"
    return Flapping(planter.truth(name, "flapping", thing.entity_id, [thing.entity_id], why))


def _counter_reset(planter: Planter, name: FaultName) -> Fault | None:
    thing = planter.one(lambda one: one.kind.behaviour == "energy")
    if thing is None:
        return None
    return CounterReset(planter.truth(name, "counter_reset", thing.entity_id, [thing.entity_id], "counts from 0 again"))


def _unit_change(planter: Planter, name: FaultName) -> Fault | None:
    thing = planter.one(lambda one: one.kind.unit in ("°C", "W") and one.kind.behaviour in ("temperature", "power"))
    if thing is None:
        return None
    why = f"tells no longer in {thing.kind.unit}"
    return UnitChange(planter.truth(name, "unit_changed", thing.entity_id, [thing.entity_id], why))


def _clock_off(planter: Planter, name: FaultName) -> Fault | None:
    thing = planter.one(lambda one: one.kind.behaviour in _LIVELY)
    if thing is None:
        return None
    why = "the times of this device are an hour behind"
    return ClockOff(planter.truth(name, "clock_off", thing.device_id, planter.device_of(thing), why))


def _dead_hub(planter: Planter, name: FaultName) -> Fault | None:
    found = planter.hub()
    if found is None:
        return None
    hub, entities = found
    return Silent(planter.truth(name, "hub_dead", hub, entities, "nothing behind this hub is heard"))


def _duplicate(planter: Planter, name: FaultName) -> Fault | None:
    thing = planter.one(lambda one: one.kind.behaviour in _LIVELY)
    if thing is None:
        return None
    copy = thing.entity_id + COPY
    why = "the same sensor by two roads"
    truth = planter.truth(name, "duplicate_source", thing.entity_id, [thing.entity_id, copy], why)
    return Copied(truth, copy)


def _rubbish(planter: Planter, name: FaultName) -> Fault | None:
    why = "one value in a hundred of the whole home cannot be used"
    return Rubbish(planter.truth(name, "rubbish", HOME, planter.numbers(), why), planter.seed)


def _bad_link(planter: Planter, name: FaultName) -> Fault | None:
    thing = planter.one(lambda one: one.kind.state_class is not None and one.kind.every_s > 0)
    if thing is None:
        return None
    why = "one value in a hundred of this device cannot be used"
    return Rubbish(planter.truth(name, "rubbish", thing.device_id, planter.device_of(thing), why), planter.seed)


_MAKERS: Final[Mapping[FaultName, Callable[[Planter, FaultName], Fault | None]]] = {
    "dead_hub": _dead_hub,
    "duplicate_source": _duplicate,
    "unit_change": _unit_change,
    "counter_reset": _counter_reset,
    "frozen": _frozen,
    "flapping": _flapping,
    "clock_off": _clock_off,
    "bad_link": _bad_link,
    "rubbish": _rubbish,
}


def chosen(names: str) -> Sequence[FaultName]:
    """Return the faults that an option asks for: none, few, all. Raises KeyError for another word."""
    return {"none": (), "few": FEW, "all": ALL}[names]
