"""What a step of enrichment is, what it may ask, and the plan of several; knows none by name (`opening.py` does)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

from ingestor.events.event import Event, EventKind, Moment, Place
from ingestor.events.late import Unsettled
from ingestor.home.facts import HomeFacts
from ingestor.home.port import HomeMap


@dataclass(slots=True)
class Surroundings:
    """What the steps may ask for while a batch is enriched, and the places that they have found.

    With `give_up` an unknown entity has waited long enough: it is decided what it is. Else it must wait.
    `waited_s` is how long these events have waited, for whatever step held them;
    `batch_id` is "" where nobody can send them again.
    """

    home: str
    home_map: HomeMap
    give_up: bool = False
    waited_s: float = 0.0
    batch_id: str = ""
    facts: HomeFacts = field(default_factory=lambda: HomeFacts(""))
    places: list[Place] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    #: Events that go on without a cause that may become known yet.
    unsettled: list[Unsettled] = field(default_factory=list)
    #: Contexts whose cause others may have told wrongly before it was heard of.
    overtaken: list[str] = field(default_factory=list)
    #: Automations and scripts that ran so often that Home Assistant may soon forget some of their runs.
    ran_often: list[str] = field(default_factory=list)
    #: By object first, then by value: a place of the map is one object, and hashing it costs more than finding it.
    _by_object: dict[int, int] = field(default_factory=dict)
    _by_value: dict[Place, int] = field(default_factory=dict)

    def index_of(self, place: Place) -> int:
        """Return the index of a place in the batch."""
        index = self._by_object.get(id(place))
        if index is None:
            index = self._by_value.setdefault(place, len(self.places))
            if index == len(self.places):
                # Only of an object that is kept may the id be remembered: another one may get the id of a lost one.
                self.places.append(place)
                self._by_object[id(place)] = index
        return index


_ALL_KINDS: Final = frozenset[EventKind](("state", "event"))


class Step(Protocol):
    """One kind of context. It writes to the event; it returns False where the event must wait."""

    @property
    def name(self) -> str:
        """The name under which the step appears in notes and metrics."""
        ...

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Add what this step knows. May raise anything: the event gets a note instead."""
        ...


@runtime_checkable
class Beginning(Protocol):
    """A step that looks at a whole batch first. At most one round trip to the state server."""

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        """Called once, before any event is enriched. May raise anything: it is logged, and `apply` is called."""
        ...


@runtime_checkable
class Finishing(Protocol):
    """A step that has something to do when all events are through. At most one round trip to the state server."""

    def finish(self, events: Sequence[Event], around: Surroundings) -> None:
        """Called once, with the events that go on (not those that are held). May raise anything: it is logged."""
        ...


@runtime_checkable
class Choosy(Protocol):
    """A step that is for some kinds of events alone: for the others `apply` need not be called."""

    @property
    def kinds(self) -> frozenset[EventKind]:
        """Which kinds; none where all is done for whole batches."""
        ...


@runtime_checkable
class Bulk(Protocol):
    """A step that does most events of a batch in one go: a call for each would cost more than the work."""

    def apply_all(self, events: Sequence[Event], around: Surroundings) -> Sequence[Event]:
        """Do what `apply` would for as many as it can; return the others. May raise anything: all are left then."""
        ...


@dataclass(frozen=True, slots=True)
class Planned:
    """A step, what `apply` of it is called for, and what it does first for all."""

    step: Step
    kinds: frozenset[EventKind]
    bulk: Bulk | None

    @classmethod
    def of(cls, step: Step) -> Planned:
        """Return what to do with a step."""
        kinds = step.kinds if isinstance(step, Choosy) else _ALL_KINDS
        return cls(step, kinds, step if isinstance(step, Bulk) else None)

    def wanted(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return those of the events that the step is for."""
        if self.kinds == _ALL_KINDS:
            return events
        return [event for event in events if event.kind in self.kinds] if self.kinds else ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in their order, sorted once by what they have to do: to ask each for each batch took half a millisecond."""

    beginning: tuple[tuple[str, Beginning], ...]
    applied: tuple[Planned, ...]
    finishing: tuple[tuple[str, Finishing], ...]

    @classmethod
    def of(cls, steps: Plan | Sequence[Step]) -> Plan:
        """Return the plan for these steps."""
        if isinstance(steps, Plan):
            return steps
        return cls(
            tuple((step.name, step) for step in steps if isinstance(step, Beginning)),
            tuple(planned for planned in map(Planned.of, steps) if planned.kinds),
            tuple((step.name, step) for step in steps if isinstance(step, Finishing)),
        )
