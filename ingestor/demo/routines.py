"""Automations, scripts and scenes of the demo home: what sets them off and what they do, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ingestor.demo.registry import slug

MODE: Final = "input_select.house_mode"
MODES: Final = ("Home", "Away", "Night")
GUESTS: Final = "input_boolean.guest_mode"
BEDTIME: Final = "input_button.good_night"
RUNS: Final = "counter.motion_lights"
#: Rooms in which the light is needed by day too.
_WITHOUT_DAYLIGHT: Final = frozenset(("hallway", "bathroom", "utility_room", "garage", "attic"))


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a service."""

    service: str
    entity_id: str | None = None
    data: dict[str, Any] = field(default_factory=dict)

    def as_config(self, modern: bool) -> dict[str, Any]:
        """Return the step as automations.yaml of that version has it."""
        target = {"target": {"entity_id": self.entity_id}} if self.entity_id else {}
        data = {"data": self.data} if self.data else {}
        return {"action" if modern else "service": self.service, **target, **data}


@dataclass(frozen=True, slots=True)
class Automation:
    """Runs its steps when an entity changes to a state (None: to any) and its condition, (entity, state), holds."""

    item_id: str
    alias: str
    watched: str
    to: str | None
    steps: tuple[Step, ...]
    condition: tuple[str, str] | None = None
    mode: str = "single"

    @property
    def entity_id(self) -> str:
        """The automation's own entity."""
        return f"automation.{slug(self.alias)}"

    def as_config(self, modern: bool) -> dict[str, Any]:
        """Return what the command `automation/config` answers."""
        to = {"to": self.to} if self.to is not None else {}
        trigger = {"trigger" if modern else "platform": "state", "entity_id": self.watched, **to}
        condition = [_as_condition(*self.condition)] if self.condition else []
        names = ("triggers", "conditions", "actions") if modern else ("trigger", "condition", "action")
        steps = [step.as_config(modern) for step in self.steps]
        parts = dict(zip(names, ([trigger], condition, steps), strict=True))
        return {"id": self.item_id, "alias": self.alias, "description": "", **parts, "mode": self.mode}


def _as_condition(entity_id: str, state: str) -> dict[str, str]:
    return {"condition": "state", "entity_id": entity_id, "state": state}


@dataclass(frozen=True, slots=True)
class Script:
    """Runs its steps when it is called."""

    object_id: str
    alias: str
    steps: tuple[Step, ...]

    @property
    def entity_id(self) -> str:
        """The script's own entity."""
        return f"script.{self.object_id}"

    def as_config(self, modern: bool) -> dict[str, Any]:
        """Return what the command `script/config` answers."""
        steps = [step.as_config(modern) for step in self.steps]
        return {"alias": self.alias, "sequence": steps, "mode": "single", "description": ""}


@dataclass(frozen=True, slots=True)
class Scene:
    """A set of states that are put in place together."""

    item_id: str
    name: str
    steps: tuple[Step, ...]

    @property
    def entity_id(self) -> str:
        """The scene's own entity."""
        return f"scene.{slug(self.name)}"

    def as_config(self) -> dict[str, Any]:
        """Return what REST's `config/scene/config` answers."""
        states = {str(one.entity_id): {"state": one.service.rpartition("_")[2], **one.data} for one in self.steps}
        return {"id": self.item_id, "name": self.name, "entities": states}


@dataclass(frozen=True, slots=True)
class Routines:
    """All that a home does by itself."""

    automations: tuple[Automation, ...]
    scripts: tuple[Script, ...]
    scenes: tuple[Scene, ...]


def routines(exists: Callable[[str], bool], rooms: list[tuple[str, str]]) -> Routines:
    """Return what these rooms (id, name) do by themselves; `exists` tells which entities the home has."""
    scenes = (
        Scene("1700000001001", "Evening", _existing(exists, _EVENING)),
        Scene("1700000001002", "Leaving", _existing(exists, _LEAVING)),
    )
    scripts = (
        Script("welcome", "Welcome", (Step("scene.turn_on", "scene.evening"), Step("counter.increment", RUNS))),
        Script("good_night", "Good night", (*_existing(exists, _NIGHT), _set_mode("Night"))),
    )
    numbers = iter(range(1_700_000_000_001, 1_700_000_999_999))
    house = [replace(one, item_id=str(next(numbers))) for one in _HOUSE]
    lights = [one for room in rooms for one in _motion_light(*room, exists, numbers)]
    forgotten = [replace(one, item_id=str(next(numbers))) for one in _FORGOTTEN if exists(one.watched)]
    return Routines((*house, *lights, *forgotten), scripts, scenes)


def _motion_light(
    area_id: str, name: str, exists: Callable[[str], bool], numbers: Iterator[int]
) -> Iterator[Automation]:
    motion, light = f"binary_sensor.{area_id}_motion_occupancy", f"light.{area_id}_light"
    if exists(motion) and exists(light):
        on = (Step("light.turn_on", light, {"brightness": 180}), Step("counter.increment", RUNS))
        off = (Step("light.turn_off", light),)
        dark = None if area_id in _WITHOUT_DAYLIGHT else ("sun.sun", "below_horizon")
        yield Automation(str(next(numbers)), f"{name} light on", motion, "on", on, dark, mode="restart")
        yield Automation(str(next(numbers)), f"{name} light off", motion, "off", off, mode="restart")


def _existing(exists: Callable[[str], bool], steps: tuple[Step, ...]) -> tuple[Step, ...]:
    return tuple(step for step in steps if step.entity_id is None or exists(step.entity_id))


def _set_mode(mode: str) -> Step:
    return Step("input_select.select_option", MODE, {"option": mode})


_EVENING: Final = (
    Step("light.turn_on", "light.living_room_light", {"brightness": 120}),
    Step("light.turn_on", "light.dining_room_light", {"brightness": 80}),
)
_LEAVING: Final = (
    Step("light.turn_off", "light.living_room_light"),
    Step("light.turn_off", "light.kitchen_light"),
    Step("switch.turn_off", "switch.living_room_plug"),
)
_NIGHT: Final = (
    Step("light.turn_off", "light.living_room_light"),
    Step("cover.close_cover", "cover.living_room_blind"),
    Step("cover.close_cover", "cover.bedroom_blind"),
)
#: It always fails, as many a home's does: nobody took it out when the phone was replaced.
_FORGOTTEN: Final = (
    Automation(
        "",
        "Tell the old phone of motion",
        "binary_sensor.hallway_motion_occupancy",
        "on",
        (Step("notify.mobile_app_old_phone", None, {"message": "Somebody is in the hallway"}),),
    ),
)
#: The chain: somebody comes home → the house's mode → the welcome script → a scene → lights.
_HOUSE: Final = (
    Automation("", "Somebody came home", "binary_sensor.anyone_home", "on", (_set_mode("Home"),)),
    Automation("", "Everybody left", "binary_sensor.anyone_home", "off", (_set_mode("Away"),)),
    Automation("", "Welcome", MODE, "Home", (Step("script.welcome"),)),
    Automation("", "House is empty", MODE, "Away", (Step("scene.turn_on", "scene.leaving"),)),
    Automation("", "Bedtime", BEDTIME, None, (Step("script.good_night"),)),
)
