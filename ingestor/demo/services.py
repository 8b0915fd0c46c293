"""What can be done to the demo home's entities, as Home Assistant's services; decides nothing by itself."""

# ruff: noqa: ARG002 - a table calls all of them alike, not each needs all it is given

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ingestor.demo.bus import Bus
from ingestor.demo.registry import RefusedError
from ingestor.demo.things import Thing, light_attributes
from ingestor.demo.wire import Context, iso

_LIT: Final = 180
_SWITCHED: Final = ("light", "switch", "input_boolean")

#: The services by domain: what `get_services` lists.
SERVICES: Final[dict[str, tuple[str, ...]]] = {
    "light": ("turn_on", "turn_off", "toggle"),
    "switch": ("turn_on", "turn_off", "toggle"),
    "input_boolean": ("turn_on", "turn_off", "toggle"),
    "input_select": ("select_option",),
    "input_button": ("press",),
    "counter": ("increment", "reset"),
    "cover": ("open_cover", "close_cover"),
    "climate": ("set_temperature",),
    "media_player": ("turn_on", "turn_off"),
    "scene": ("turn_on",),
    "script": ("turn_on", "welcome", "good_night"),
    "automation": ("trigger", "turn_on", "turn_off"),
}

Call = Callable[[str, dict[str, Any], Context], None]


def describe(*, modern: bool) -> dict[str, dict[str, Any]]:
    """Return what `get_services` answers; later versions keep names for the translations."""
    return {domain: {name: _described(name, modern=modern) for name in names} for domain, names in SERVICES.items()}


def _described(name: str, *, modern: bool) -> dict[str, Any]:
    return {"fields": {}} if modern else {"name": _title(name), "description": f"{_title(name)}.", "fields": {}}


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


class Services:
    """Does what is called. Automations and scripts are run by those who said so with `run_by`."""

    def __init__(self, bus: Bus, things: dict[str, Thing]) -> None:
        self._bus = bus
        self._things = things
        self._runners: dict[str, Call] = {}
        self._does: dict[str, Call] = {
            **{f"{domain}.turn_on": self._turn_on for domain in (*_SWITCHED, "media_player")},
            **{f"{domain}.turn_off": self._turn_off for domain in (*_SWITCHED, "media_player")},
            **{f"{domain}.toggle": self._toggle for domain in _SWITCHED},
            "automation.turn_on": self._turn_on,
            "automation.turn_off": self._turn_off,
            "input_select.select_option": self._select,
            "input_button.press": self._press,
            "counter.increment": self._count,
            "counter.reset": self._reset,
            "cover.open_cover": self._open,
            "cover.close_cover": self._close,
            "climate.set_temperature": self._warm,
        }

    def run_by(self, domain: str, runner: Call) -> None:
        """Let the runner do what is called of a domain that has no states of its own to set."""
        self._runners[domain] = runner

    def call(
        self,
        service: str,
        data: dict[str, Any],
        context: Context,
        target: dict[str, Any] | None = None,
    ) -> None:
        """Call a service: tell of the call, then do it. Raise RefusedError if there is no such service."""
        domain, _, name = service.partition(".")
        if name not in SERVICES.get(domain, ()):
            missing = f"Action {service} not found" if self._bus.modern else f"Service {service} not found."
            raise RefusedError("not_found", missing)
        told = {**data, **(target or {})}
        if isinstance(told.get("entity_id"), str) and domain != "script":
            told["entity_id"] = [told["entity_id"]]
        self._bus.fire("call_service", {"domain": domain, "service": name, "service_data": told}, context)
        runner = self._runners.get(service) or self._runners.get(f"{domain}.*")
        if runner:
            runner(name, told, context)
            return
        for entity_id in told.get("entity_id", ()):
            if entity_id in self._bus.states and entity_id.startswith(f"{domain}."):
                self._does[service](entity_id, told, context)

    def _turn_on(self, entity_id: str, data: dict[str, Any], context: Context) -> None:
        thing = self._things.get(entity_id)
        if thing is None or thing.kind.domain != "light":
            self._bus.set_state(entity_id, "on", None, context)
        elif thing.available:
            attributes = light_attributes(thing, int(data.get("brightness", _LIT)))
            self._bus.set_state(entity_id, "on", attributes, context)
        self._remember(thing, lit=True)

    def _turn_off(self, entity_id: str, data: dict[str, Any], context: Context) -> None:
        thing = self._things.get(entity_id)
        attributes = light_attributes(thing, None) if thing and thing.kind.domain == "light" else None
        if thing is None or thing.available:
            self._bus.set_state(entity_id, "off", attributes, context)
        self._remember(thing, lit=False)

    def _remember(self, switched: Thing | None, *, lit: bool) -> None:
        """Let what is near notice: the light sensor of the room, the power of the plug."""
        if switched is None:
            return
        domain = switched.kind.domain
        for thing in self._things.values():
            if domain == "light" and thing.area_id == switched.area_id and thing.kind.behaviour == "illuminance":
                thing.memory["lit"] = lit
            elif domain == "switch" and thing.device_id == switched.device_id:
                thing.memory["off"] = not lit

    def _toggle(self, entity_id: str, data: dict[str, Any], context: Context) -> None:
        is_on = self._bus.states[entity_id].state == "on"
        (self._turn_off if is_on else self._turn_on)(entity_id, data, context)

    def _select(self, entity_id: str, data: dict[str, Any], context: Context) -> None:
        self._bus.set_state(entity_id, str(data.get("option", "")), None, context)

    def _press(self, entity_id: str, data: dict[str, Any], context: Context) -> None:
        self._bus.set_state(entity_id, iso(self._bus.now_us()), None, context)

    def _count(self, entity_id: str, data: dict[str, Any], context: Context) -> None:
        self._bus.set_state(entity_id, str(int(self._bus.states[entity_id].state) + 1), None, context)

    def _reset(self, entity_id: str, data: dict[str, Any], context: Context) -> None:
        self._bus.set_state(entity_id, "0", None, context)

    def _open(self, entity_id: str, data: dict[str, Any], context: Context) -> None:
        self._cover(entity_id, "open", 100, context)

    def _close(self, entity_id: str, data: dict[str, Any], context: Context) -> None:
        self._cover(entity_id, "closed", 0, context)

    def _cover(self, entity_id: str, state: str, position: int, context: Context) -> None:
        thing = self._things[entity_id]
        if thing.available:
            self._bus.set_state(entity_id, state, thing.attributes(current_position=position), context)

    def _warm(self, entity_id: str, data: dict[str, Any], context: Context) -> None:
        thing = self._things[entity_id]
        if thing.available:
            wanted = thing.memory["temperature"] = float(data.get("temperature", 20.0))
            attributes = {**self._bus.states[entity_id].attributes, "temperature": wanted}
            self._bus.set_state(entity_id, "heat", attributes, context)
