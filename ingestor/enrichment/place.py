"""The step `place`: series, area, floor and device, from the map in force at the event's own time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event, Place
from ingestor.home.model import bare_place, domain_of


class PlaceStep:
    """Series, area, floor, device: from the map in force at the event's own time (rules 1 and 2)."""

    name: Final = "place"

    def apply_all(self, events: Sequence[Event], around: Surroundings) -> Sequence[Event]:
        """Find the places of all states whose entity the map knows; nine of ten events are such."""
        snapshot = around.home_map.snapshot(around.home)
        if snapshot is None:
            return events
        timelines, mapped_from_us, index_of = snapshot.timelines, snapshot.mapped_from_us, around.index_of
        others: list[Event] = []
        for event in events:
            timeline = timelines.get(event.entity_id or event.subject) if event.kind == "state" else None
            if timeline is None or event.time_us < mapped_from_us:
                others.append(event)
            else:
                event.place = index_of(timeline.at(event.time_us) if timeline.later else timeline.first)
        return others

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Find the event's place; False while its entity is not known."""
        place = _of_state(event, around) if event.kind == "state" else _of_event(event, around)
        if place is None:
            return False
        event.place = around.index_of(place)
        return True


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
