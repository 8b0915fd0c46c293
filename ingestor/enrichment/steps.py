"""The steps that give an event its context, as one visible, ordered list; a step that fails becomes a note."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from ingestor import errors
from ingestor.events.event import Event, Moment, Place
from ingestor.home.model import bare_place, domain_of
from ingestor.home.port import HomeMap


@dataclass(slots=True)
class Surroundings:
    """What the steps may ask for while a batch is enriched, and the places that they have found.

    With `give_up` an unknown entity has waited long enough: it is decided what it is. Else it must wait.
    """

    home: str
    home_map: HomeMap
    give_up: bool = False
    places: list[Place] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
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


class Step(Protocol):
    """One kind of context. It writes to the event; it returns False where the event must wait."""

    @property
    def name(self) -> str:
        """The name under which the step appears in notes and metrics."""
        ...

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Add what this step knows. May raise anything: the event gets a note instead."""
        ...


class PlaceStep:
    """Series, area, floor, device: from the map in force at the event's own time (rules 1 and 2)."""

    name: Final = "place"

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Find the event's place; False while its entity is not known."""
        place = _of_state(event, around) if event.kind == "state" else _of_event(event, around)
        if place is None:
            return False
        event.place = around.index_of(place)
        return True


#: How each step is made; it stands in the settings (`enrichment.steps`) by this name.
STEPS: Final[Mapping[str, Callable[[], Step]]] = {"place": PlaceStep}


def enrichment_steps(chosen: Sequence[str] = ()) -> tuple[Step, ...]:
    """Return the steps in their order; `place` comes first where it is not named. Raises InvalidSettings."""
    names = chosen if "place" in chosen else ("place", *chosen)
    if unknown := sorted(set(names) - set(STEPS)):
        raise errors.InvalidSettings(f"enrichment.steps: {unknown[0]!r} is none of {', '.join(STEPS)}")
    return tuple(STEPS[name]() for name in names)


def place_without_context(event: Event) -> Place:
    """Return the place of an event of which no context is known."""
    if event.kind == "state":
        return bare_place(event.entity_id or event.subject)
    return Place(series=event.subject, domain=_domain_of_event(event.subject))


def _of_state(event: Event, around: Surroundings) -> Place | None:
    entity_id = event.entity_id or event.subject
    if domain_of(entity_id) == "mqtt":
        # A name of our own for what only MQTT knows: Home Assistant has no such domain, so there is none to wait for.
        return bare_place(entity_id)
    place = around.home_map.place_of(around.home, entity_id, event.time_us)
    if place is None and around.give_up:
        return around.home_map.decide_unknown(around.home, entity_id, event.time_us)
    return place


def _of_event(event: Event, around: Surroundings) -> Place:
    """Return the place of an event that is no state: a series of its own, with the context of its entity.

    It does not wait for a sync, so it has context only from when the entity was known on (`waits=False`): sent
    again later, it must not get more.
    """
    place = place_without_context(event)
    if event.entity_id is None:
        return place
    entity = around.home_map.place_of(around.home, event.entity_id, event.time_us, waits=False)
    if entity is None:
        return place
    return msgspec.structs.replace(entity, series=place.series, domain=place.domain)


def _domain_of_event(subject: str) -> str:
    """Return the domain of what the event is about; of an event about nothing its type."""
    event_type, _, about = subject.partition(":")
    return domain_of(about) if "." in about else event_type
