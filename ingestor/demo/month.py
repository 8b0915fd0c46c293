"""A small home told fast, a month in seconds: what its things say, with planted faults; knows neither bus nor clock."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ingestor.demo import catalogue, chance, things
from ingestor.demo.catalogue import DeviceKind
from ingestor.demo.clock import DAY_US, HOUR_US, SECOND_US
from ingestor.demo.faults import Faults, Said, after
from ingestor.demo.planting import ALL, COPY, FaultName, Planter, Span
from ingestor.demo.registry import slug
from ingestor.demo.things import Thing
from ingestor.demo.world import World

DAYS: Final = 30
#: What stands in the garden is reached by a radio of its own.
_GARDEN: Final = "garden_coordinator"
#: What stands where, as in most homes: some tell every few minutes, some once a week, some never.
_HOUSE: Final[Sequence[tuple[str, DeviceKind]]] = (
    ("living_room", catalogue.CLIMATE_SENSOR),
    ("kitchen", catalogue.CLIMATE_SENSOR),
    ("bedroom", catalogue.CLIMATE_SENSOR),
    ("hallway", catalogue.MOTION),
    ("kitchen", catalogue.MOTION),
    ("living_room", catalogue.CONTACT),
    ("bedroom", catalogue.CONTACT),
    ("hallway", catalogue.SMOKE),
    ("bathroom", catalogue.LEAK),
    ("living_room", catalogue.AIR),
    ("office", catalogue.AIR),
    ("living_room", catalogue.PLUG),
    ("office", catalogue.PLUG),
    ("kitchen", catalogue.PLUG),
    ("living_room", catalogue.LIGHT),
    ("kitchen", catalogue.LIGHT),
    ("bedroom", catalogue.LIGHT),
    ("garden", catalogue.CLIMATE_SENSOR),
    ("garden", catalogue.MOTION),
)
_UNPLACED: Final = tuple(kind for kind, _area in catalogue.SINGLE if kind.name in {"Electricity meter", "Solar"})
#: A month of a home that tells every ten seconds would be ten million events: each tells as much more seldom.
_SLOWER: Final = 8.0
_FASTEST_S: Final = 900.0
_LIGHT_EVERY_S: Final = 9_000.0
_OPENED_EVERY_S: Final = 18_000.0
#: A healthy device is out of reach for a few minutes, about so often.
_DROP_OUT_EVERY_S: Final = 20 * 86_400.0
_GONE: Final = "unavailable"


@dataclass(frozen=True, slots=True)
class Placed:
    """What the map of the home says of an entity."""

    thing: Thing
    area: str
    device: str
    integration: str
    via: str


class Month:
    """One home over some weeks. The same seed tells the same."""

    def __init__(self, seed: int, start_us: int, *, days: int = DAYS, faults: Sequence[FaultName] = ALL) -> None:
        self.start_us = start_us
        self.end_us = start_us + days * DAY_US
        self.places: dict[str, Placed] = {}
        self._chance = chance.source("month", seed)
        self._world = World(seed)
        self._seed = seed
        self._build()
        known = {entity_id: place.thing for entity_id, place in self.places.items()}
        hubs = {place.device: place.via for place in self.places.values() if place.via}
        self.faults: Faults = Planter(known, hubs, seed, Span(start_us, days * 86_400.0)).plant(faults)
        self._add_copies()

    def _build(self) -> None:
        for area, kind in _HOUSE:
            self._device(f"{area.replace('_', ' ').capitalize()} {kind.name}", area, kind)
        for kind in _UNPLACED:
            self._device(kind.name, "hallway", kind)

    def _device(self, name: str, area: str, kind: DeviceKind) -> None:
        device = slug(name)
        for entity in kind.entities:
            full = f"{name} {entity.name}".strip()
            entity_id = f"{entity.domain}.{slug(full)}"
            thing = Thing(entity_id, entity, full, chance.source(self._seed, entity_id), area, device)
            hub = _GARDEN if kind.hub and area == "garden" else slug(kind.hub or "")
            self.places[entity_id] = Placed(thing, area, device, kind.integration, hub)

    def _add_copies(self) -> None:
        """Place what is heard by a second road: another integration's device."""
        for truth in self.faults.truths:
            for entity_id in truth.subjects:
                if entity_id not in self.places:
                    place = self.places[entity_id.removesuffix(COPY)]
                    self.places[entity_id] = replace(
                        place, device=place.device + COPY, integration="statestream", via=""
                    )

    def told(self) -> Iterator[Said]:
        """Yield what is heard, in the order of time. What is told again unchanged is no event, as in a true home."""
        heard: dict[str, tuple[str, str | None]] = {}
        for said in self._said():
            for one in self.faults.told(said):
                if heard.get(one.entity_id) != (one.state, one.unit):
                    heard[one.entity_id] = (one.state, one.unit)
                    yield one

    def _said(self) -> Iterator[Said]:
        """Yield what all things say, read at their times, and that they are gone while they are."""
        number = 0
        queue: list[tuple[int, int, Thing]] = []
        for place in self.places.values():
            if not place.thing.entity_id.endswith(COPY):
                heapq.heappush(queue, (self.start_us + number * SECOND_US, number, place.thing))
                number += 1
        away = self._drop_outs()
        while queue and queue[0][0] < self.end_us:
            now_us, _, thing = queue[0]
            number += 1
            yield Said(now_us, thing.entity_id, self._state(thing, now_us, away), thing.kind.unit)
            heapq.heapreplace(queue, (after(now_us, self._pause_s(thing, now_us)), number, thing))

    def _state(self, thing: Thing, now_us: int, away: Mapping[str, Sequence[tuple[int, int]]]) -> str:
        if any(begin_us <= now_us < end_us for begin_us, end_us in away[thing.device_id]):
            return _GONE
        if thing.kind.behaviour in ("motion", "contact", "light"):
            thing.value = 1.0 - thing.value
            return "on" if thing.value else "off"
        return things.read(thing, self._world, now_us)[0]

    def _pause_s(self, thing: Thing, now_us: int) -> float:
        """Return when it will say something again."""
        kind = thing.kind
        if kind.behaviour == "motion":
            if thing.value:
                return 20 + thing.chance.expovariate(1 / 50)
            rate = self._world.movements(thing.area_id, now_us, anyone_home=True) / 3
            return min(7200.0, thing.chance.expovariate(rate / 3600)) + 1
        if kind.behaviour == "contact":
            return 60 + thing.chance.expovariate(1 / (600 if thing.value else _OPENED_EVERY_S))
        if kind.behaviour == "light":
            return 60 + thing.chance.expovariate(1 / _LIGHT_EVERY_S)
        every_s = max(_FASTEST_S, kind.every_s * _SLOWER) if kind.every_s else HOUR_US / SECOND_US
        return every_s * (0.9 + 0.2 * thing.chance.random())

    def _drop_outs(self) -> dict[str, list[tuple[int, int]]]:
        """Return when each device is out of reach for some minutes, as healthy ones are now and then."""
        found: dict[str, list[tuple[int, int]]] = {}
        for device in sorted({place.device for place in self.places.values()}):
            now_us = self.start_us
            spans = found[device] = []
            while (now_us := after(now_us, self._chance.expovariate(1 / _DROP_OUT_EVERY_S))) < self.end_us:
                spans.append((now_us, after(now_us, 120 + self._chance.expovariate(1 / 600))))
        return found
