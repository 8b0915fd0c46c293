"""What happens in the demo home by itself, and when: readings, movements, people, drop-outs; talks to no client."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from ingestor.demo import catalogue, chance, things
from ingestor.demo.building import Blueprint
from ingestor.demo.bus import Bus
from ingestor.demo.clock import SECOND_US
from ingestor.demo.engine import Engine
from ingestor.demo.faults import Faults, Said
from ingestor.demo.registry import slug
from ingestor.demo.routines import BEDTIME, GUESTS
from ingestor.demo.services import Services
from ingestor.demo.things import Thing
from ingestor.demo.wire import Context
from ingestor.demo.world import LATITUDE, LONGITUDE, World

_MINUTE_US: Final = 60 * SECOND_US
#: The state of the whole home goes on after a pause longer than this as if there had been none.
_PAUSE_US: Final = 60 * SECOND_US
#: About so many readings differ from the one before; the others make no event.
_SHARE_THAT_CHANGES: Final = 0.63
_DROP_OUT_EVERY_S: Final = 420.0
_USER_ACTS_EVERY_S: Final = 150.0

Action = Callable[[], None]


class Life:
    """A queue of what happens next. The same seed and start give the same events, however it is advanced."""

    def __init__(
        self, bus: Bus, built: Blueprint, world: World, services: Services, engine: Engine, *, rate: float, seed: int
    ) -> None:
        self._bus = bus
        self._built = built
        self._world = world
        self._services = services
        self._engine = engine
        #: What is said passes through these, once they are planted.
        self.faults = Faults()
        self._chance = chance.source("life", seed)
        self._queue: list[tuple[int, int, Action]] = []
        self._number = 0
        self._faster = self._speed(rate)
        self._by_device: dict[str, list[Thing]] = defaultdict(list)
        for thing in built.things.values():
            self._by_device[thing.device_id].append(thing)

    def _speed(self, rate: float) -> float:
        """Return how much more often than naturally things are read to come to this many changes a second."""
        natural = sum(1 / thing.kind.every_s for thing in self._built.things.values() if thing.kind.every_s)
        return rate / (natural * _SHARE_THAT_CHANGES) if natural else 1.0

    def begin(self) -> None:
        """Set every state, and plan what comes next."""
        now_us = self._bus.clock.now_us()
        for thing in self._built.things.values():
            self._bus.set_state(thing.entity_id, *things.first(thing, self._world, now_us))
            self._plan_reading(thing, now_us, self._chance.random())
            if thing.kind.behaviour == "motion":
                self._plan_movement(thing, now_us)
            elif thing.kind.behaviour == "contact":
                self._after(now_us, 3600 * self._chance.expovariate(1 / 3), partial(self._open, thing))
        for entity_id, (state, attributes) in self._built.still.items():
            self._bus.set_state(entity_id, state, attributes)
        self._after(now_us, 20, self._look_at_people)
        self._after(now_us, 15, self._act_as_user)
        self._after(now_us, self._chance.expovariate(1 / _DROP_OUT_EVERY_S), self._drop_out)

    def next_us(self) -> int | None:
        """Return when the next thing is due."""
        return self._queue[0][0] if self._queue else None

    def advance(self, until_us: int) -> None:
        """Let happen what is due until then."""
        if self._queue and until_us - self._queue[0][0] > _PAUSE_US and self._bus.scheduled_us is None:
            self._skip(until_us - self._queue[0][0])
        self.run_until(until_us)

    def run_until(self, until_us: int) -> None:
        """Let happen what is due until then, however long that is."""
        while self._queue and self._queue[0][0] <= until_us:
            due_us, _, action = heapq.heappop(self._queue)
            self._bus.scheduled_us = due_us
            try:
                action()
                self._engine.settle()
            finally:
                self._bus.scheduled_us = None

    def _skip(self, pause_us: int) -> None:
        """Move all that is planned: a machine that slept makes up for nothing."""
        self._queue = [(due_us + pause_us, number, action) for due_us, number, action in self._queue]

    def _after(self, now_us: int, seconds: float, action: Action) -> None:
        self._number += 1
        heapq.heappush(self._queue, (now_us + round(seconds * SECOND_US), self._number, action))

    def _plan_reading(self, thing: Thing, now_us: int, part: float = 1.0) -> None:
        if thing.kind.every_s:
            seconds = thing.kind.every_s / self._faster * part * (0.9 + 0.2 * thing.chance.random())
            self._after(now_us, seconds, partial(self._read, thing))

    def _read(self, thing: Thing) -> None:
        now_us = self._bus.scheduled_us or 0
        if thing.available and thing.entity_id in self._bus.states:
            self._say(thing, *things.read(thing, self._world, now_us))
        self._plan_reading(thing, now_us)

    def _say(self, thing: Thing, state: str, attributes: dict[str, Any] | None) -> None:
        """Set a state, as faults let it be heard."""
        if not self.faults.planted:
            self._bus.set_state(thing.entity_id, state, attributes)
            return
        unit = thing.kind.unit
        for heard in self.faults.told(Said(self._bus.scheduled_us or 0, thing.entity_id, state, unit)):
            told = attributes
            if heard.unit != unit or heard.entity_id != thing.entity_id:
                told = {**(attributes or thing.attributes()), "unit_of_measurement": heard.unit}
            self._bus.set_state(heard.entity_id, heard.state, told, behind_us=heard.behind_us)

    def _plan_movement(self, thing: Thing, now_us: int) -> None:
        per_hour = self._world.movements(thing.area_id, now_us, anyone_home=self._anyone_home(now_us))
        # Looked at again after ten minutes at the latest: by then another hour with other habits may have begun.
        seconds = self._chance.expovariate(per_hour / 3600)
        again = 600.0
        if seconds < again:
            self._after(now_us, seconds, partial(self._move, thing))
        else:
            self._after(now_us, again, lambda: self._plan_movement(thing, self._bus.scheduled_us or 0))

    def _anyone_home(self, now_us: int) -> bool:
        return any(self._world.is_home(person, now_us) for person, _name, _phone in catalogue.PEOPLE)

    def _move(self, thing: Thing) -> None:
        now_us = self._bus.scheduled_us or 0
        if thing.available and thing.entity_id in self._bus.states:
            self._say(thing, "on", thing.attributes())
        self._after(now_us, 20 + self._chance.expovariate(1 / 50), partial(self._still, thing))

    def _still(self, thing: Thing) -> None:
        if thing.available and thing.entity_id in self._bus.states:
            self._say(thing, "off", thing.attributes())
        self._plan_movement(thing, self._bus.scheduled_us or 0)

    def _open(self, thing: Thing) -> None:
        """Open a window or a door, and close it later."""
        now_us = self._bus.scheduled_us or 0
        state = self._bus.states.get(thing.entity_id)
        is_open = state is not None and state.state == "on"
        if thing.available and state is not None:
            self._say(thing, "off" if is_open else "on", thing.attributes())
        seconds = self._chance.expovariate(1 / (3 * 3600)) if is_open else self._chance.expovariate(1 / 900)
        self._after(now_us, seconds, partial(self._open, thing))

    def _look_at_people(self) -> None:
        """See who came and went; once a minute."""
        now_us = self._bus.scheduled_us or 0
        for person, _name, phone in catalogue.PEOPLE:
            is_home = self._world.is_home(person, now_us)
            self._place(f"person.{person}", f"device_tracker.{slug(phone)}", is_home=is_home)
        self._after(now_us, 60, self._look_at_people)

    def _place(self, person: str, tracker: str, *, is_home: bool) -> None:
        """Move a phone; its person follows with the same context, and so does what is computed from persons."""
        if person not in self._bus.states or tracker not in self._bus.states:
            return
        state = "home" if is_home else "not_home"
        if self._bus.states[person].state == state:
            return
        away = 0.0 if is_home else 0.03
        position = {"latitude": round(LATITUDE + away, 5), "longitude": round(LONGITUDE - away, 5)}
        context = self._bus.context()
        for entity_id in (tracker, person):
            self._bus.set_state(entity_id, state, {**self._bus.states[entity_id].attributes, **position}, context)
        self._count_people(context)

    def _count_people(self, context: Context) -> None:
        states = self._bus.states
        people = [f"person.{person}" for person, _name, _phone in catalogue.PEOPLE]
        inside = [person for person in people if person in states and states[person].state == "home"]
        if "zone.home" in states:
            attributes = {**states["zone.home"].attributes, "persons": inside}
            self._bus.set_state("zone.home", str(len(inside)), attributes, context)
        if "binary_sensor.anyone_home" in states:
            self._bus.set_state("binary_sensor.anyone_home", "on" if inside else "off", None, context)

    def _act_as_user(self) -> None:
        """Do by hand, in an app, what people do."""
        now_us = self._bus.scheduled_us or 0
        person = self._chance.choice([person for person, _name, _phone in catalogue.PEOPLE])
        service, entity_id, data = self._chance.choice(self._habits())
        if entity_id in self._bus.states:
            context = self._bus.context(user_id=self._built.users[person])
            self._services.call(service, dict(data), context, {"entity_id": [entity_id]})
        self._after(now_us, 5 + self._chance.expovariate(1 / _USER_ACTS_EVERY_S), self._act_as_user)

    def _habits(self) -> list[tuple[str, str, dict[str, Any]]]:
        rooms: Iterable[str] = ("living_room", "kitchen", "bedroom", "office", "dining_room")
        bright = self._chance.randrange(40, 255)
        warm = round(self._chance.uniform(18, 22) * 2) / 2
        found: list[tuple[str, str, dict[str, Any]]] = [
            *(("light.toggle", f"light.{room}_light", {"brightness": bright}) for room in rooms),
            ("climate.set_temperature", "climate.living_room_radiator", {"temperature": warm}),
            ("switch.toggle", "switch.office_plug", {}),
            ("input_boolean.toggle", GUESTS, {}),
        ]
        if self._world.hour(self._bus.scheduled_us or 0) >= 22:  # noqa: PLR2004 - they go to bed
            found.append(("input_button.press", BEDTIME, {}))
        return found

    def _drop_out(self) -> None:
        """Let a device be unreachable for a while; all its entities at once."""
        now_us = self._bus.scheduled_us or 0
        devices = [device_id for device_id in self._by_device if device_id]
        if devices:
            device_id = self._chance.choice(devices)
            self.set_available(device_id, available=False)
            seconds = 15 + self._chance.expovariate(1 / 90)
            self._after(now_us, seconds, partial(self.set_available, device_id, available=True))
        self._after(now_us, self._chance.expovariate(1 / _DROP_OUT_EVERY_S), self._drop_out)

    def set_available(self, device_id: str, *, available: bool) -> None:
        """Make a device's entities unavailable, or bring them back."""
        now_us = self._bus.scheduled_us or self._bus.clock.now_us()
        for thing in self._by_device.get(device_id, ()):
            thing.available = available
            if thing.entity_id not in self._bus.states:
                continue
            if available:
                self._bus.set_state(thing.entity_id, *things.first(thing, self._world, now_us))
            else:
                self._bus.set_state(thing.entity_id, "unavailable", _bare(thing))


def _bare(thing: Thing) -> dict[str, Any]:
    """Return what attributes are left while nobody can reach the device."""
    kept = ("state_class", "unit_of_measurement", "device_class", "friendly_name", "supported_features")
    return {key: value for key, value in thing.attributes().items() if key in kept}
