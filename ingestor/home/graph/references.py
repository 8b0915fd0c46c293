"""What an automation, a script or a scene names in its configuration, and in which role; reads data, keeps nothing.

Takes both shapes of Home Assistant: `trigger`/`platform`/`service` (until 2024.9) and `triggers`/`trigger`/`action`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from ingestor.home.graph.templates import IsEntity, is_open, is_template, template_entities

#: `triggers`: its change starts the run. `reads`: asked in a condition or template. `controls`: a service is called on
#: it. `fires`: an event or a message that others may be started by. `uses`: named, in a role that is not known.
Role = Literal["triggers", "reads", "controls", "fires", "uses"]
#: What is named: an entity_id, a registry id (device, area, floor, label), an event type, an MQTT topic, a blueprint.
#: A template whose text does not name all that it depends on is itself the target: who can, renders it.
Kind = Literal["entity", "device", "area", "floor", "label", "event", "topic", "blueprint", "template", "domain"]
#: What `automation.trigger` leads to, and what its own runs are: the automation runs, its state stays as it is.
STARTED: Final = "started"


@dataclass(frozen=True, slots=True)
class Reference:
    """One mention. `state` is the state that starts the run, or that the call leads to; None: any, or not known.

    `domain` is that of the service that is called on an area, a device, a floor or a label.
    """

    role: Role
    kind: Kind
    target: str
    path: str
    state: str | None = None
    domain: str = ""


_TARGETS: Final[Mapping[str, Kind]] = {
    "entity_id": "entity",
    "device_id": "device",
    "area_id": "area",
    "floor_id": "floor",
    "label_id": "label",
}
#: The state that a service leads to, by its name.
_RESULTS: Final[Mapping[str, str]] = {
    "turn_on": "on",
    "turn_off": "off",
    "lock": "locked",
    "unlock": "unlocked",
    "open_cover": "open",
    "close_cover": "closed",
    "open_valve": "open",
    "close_valve": "closed",
}
#: Triggers by what is neither entity nor device: what they name, and under which key.
_STARTERS: Final[Mapping[str, tuple[Kind, str]]] = {"event": ("event", "event_type"), "mqtt": ("topic", "topic")}
_MAX_DEPTH: Final = 60
_OFF: Final = " (switched off)"


def references_of(config: Mapping[str, Any], is_entity: IsEntity) -> list[Reference]:
    """Return what a configuration names, each mention once. `is_entity` tells whether the home has such an entity."""
    found = list(_Reader(is_entity).of_config(config))
    return list(dict.fromkeys(found))


class _Reader:
    """Walks one configuration."""

    def __init__(self, is_entity: IsEntity) -> None:
        self._is_entity = is_entity

    def of_config(self, config: Mapping[str, Any]) -> Iterator[Reference]:
        for key in ("triggers", "trigger"):
            yield from self._triggers(config.get(key), key)
        for key in ("conditions", "condition"):
            yield from self._reads(config.get(key), key, 0)
        for key in ("actions", "action", "sequence"):
            yield from self._steps(config.get(key), key, 0)
        for key in ("variables", "trigger_variables"):
            yield from self._templates(config.get(key), key, 0)
        yield from self._blueprint(config.get("use_blueprint"))

    # -- what starts it ------------------------------------------------------------------------------------

    def _triggers(self, given: Any, path: str) -> Iterator[Reference]:
        for number, trigger in enumerate(_items(given)):
            if isinstance(trigger, Mapping):
                yield from _as_enabled(trigger, self._trigger(trigger, f"{path}[{number}]"))

    def _trigger(self, trigger: Mapping[str, Any], path: str) -> Iterator[Reference]:
        platform = str(trigger.get("trigger") or trigger.get("platform") or "")
        yield from self._triggers(trigger.get("triggers"), f"{path}.triggers")
        if platform in _STARTERS:
            kind, key = _STARTERS[platform]
            yield from (Reference("triggers", kind, name, path) for name in _texts(trigger.get(key)))
        if platform == "sun":
            yield Reference("triggers", "entity", "sun.sun", path)
        for key in ("entity_id", "device_id"):
            for name in _texts(trigger.get(key)):
                states = _awaited_states(name, trigger) if platform == "state" else []
                yield from _named(Reference("triggers", _TARGETS[key], name, path), states)
        yield from self._limits(trigger, platform, path)

    def _limits(self, trigger: Mapping[str, Any], platform: str, path: str) -> Iterator[Reference]:
        """Yield what a trigger compares with: zones, other entities as limits or times, templates."""
        for zone in _texts(trigger.get("zone")):
            yield from _named(Reference("reads", "entity", zone, path))
        for key in ("above", "below", "at"):
            for name in _texts(_times(trigger.get(key))):
                if self._is_entity(name):
                    yield Reference("triggers" if key == "at" else "reads", "entity", name, f"{path}.{key}")
        role: Role = "triggers" if platform == "template" else "reads"
        for key in ("value_template", "enabled", "for"):
            yield from self._templates(trigger.get(key), f"{path}.{key}", 0, role)

    # -- what it asks --------------------------------------------------------------------------------------

    def _reads(self, given: Any, path: str, depth: int) -> Iterator[Reference]:
        """Yield what conditions name: lists, groups (`and`, `or`, `not`), shorthand templates."""
        if depth > _MAX_DEPTH:
            return
        if isinstance(given, str):
            yield from self._templates(given, path, depth)
            return
        if isinstance(given, Mapping):
            yield from _as_enabled(given, self._condition(given, path, depth))
            return
        for number, condition in enumerate(_items(given)):
            yield from self._reads(condition, f"{path}[{number}]", depth + 1)

    def _condition(self, condition: Mapping[str, Any], path: str, depth: int) -> Iterator[Reference]:
        for key, kind in _TARGETS.items():
            for name in _texts(condition.get(key)):
                yield from _named(Reference("reads", kind, name, path))
        for key in ("zone", "above", "below", "after", "before", "state"):
            for name in _texts(condition.get(key)):
                if self._is_entity(name):
                    yield Reference("reads", "entity", name, f"{path}.{key}")
        for key in ("value_template", "enabled"):
            yield from self._templates(condition.get(key), f"{path}.{key}", depth)
        for key in ("conditions", "and", "or", "not"):
            yield from self._reads(condition.get(key), f"{path}.{key}", depth + 1)

    # -- what it does --------------------------------------------------------------------------------------

    def _steps(self, given: Any, path: str, depth: int) -> Iterator[Reference]:
        if depth > _MAX_DEPTH:
            return
        for number, step in enumerate(_items(given)):
            where = f"{path}[{number}]"
            if isinstance(step, Mapping):
                yield from _as_enabled(step, self._step(step, where, depth))
            else:
                yield from self._templates(step, where, depth)

    def _step(self, step: Mapping[str, Any], path: str, depth: int) -> Iterator[Reference]:
        service = step.get("action") or step.get("service") or step.get("service_template")
        if isinstance(service, str):
            yield from self._call(service, step, path, depth)
        elif "device_id" in step and "domain" in step and "condition" not in step:
            yield from self._device_action(step, path)
        if "condition" in step or any(key in step for key in ("and", "or", "not")):
            yield from self._condition(step, path, depth)
        if isinstance(step.get("scene"), str):
            yield Reference("controls", "entity", step["scene"], f"{path}.scene", "on")
        if isinstance(step.get("event"), str):
            yield Reference("fires", "event", step["event"], f"{path}.event")
            yield from self._templates(step.get("event_data"), f"{path}.event_data", depth)
        for key in ("wait_template", "delay", "variables", "timeout", "stop", "enabled"):
            yield from self._templates(step.get(key), f"{path}.{key}", depth)
        # It goes on with their change: it is not started by them.
        for one in self._triggers(step.get("wait_for_trigger"), f"{path}.wait_for_trigger"):
            yield Reference("reads", one.kind, one.target, one.path) if one.role == "triggers" else one
        yield from self._branches(step, path, depth + 1)

    def _branches(self, step: Mapping[str, Any], path: str, depth: int) -> Iterator[Reference]:
        yield from self._reads(step.get("if"), f"{path}.if", depth)
        for key in ("then", "else", "sequence", "default"):
            yield from self._steps(step.get(key), f"{path}.{key}", depth)
        for number, choice in enumerate(_items(step.get("choose"))):
            if isinstance(choice, Mapping):
                yield from self._reads(choice.get("conditions"), f"{path}.choose[{number}].conditions", depth)
                yield from self._steps(choice.get("sequence"), f"{path}.choose[{number}].sequence", depth)
        for number, branch in enumerate(_items(step.get("parallel"))):
            yield from self._steps(branch, f"{path}.parallel[{number}]", depth)
        repeat = step.get("repeat")
        if isinstance(repeat, Mapping):
            for key in ("while", "until"):
                yield from self._reads(repeat.get(key), f"{path}.repeat.{key}", depth)
            for key in ("count", "for_each"):
                yield from self._templates(repeat.get(key), f"{path}.repeat.{key}", depth)
            yield from self._steps(repeat.get("sequence"), f"{path}.repeat.sequence", depth)

    def _call(self, service: str, step: Mapping[str, Any], path: str, depth: int) -> Iterator[Reference]:
        domain, _, name = service.partition(".")
        yield from self._templates(service, path, depth)
        data = {**_object(step.get("data_template")), **_object(step.get("data"))}
        state = STARTED if service == "automation.trigger" else _result(name, data)
        if domain == "script" and name not in ("turn_on", "turn_off", "toggle", "reload"):
            yield Reference("controls", "entity", service, path, "on")
        if domain == "mqtt" and name == "publish":
            for topic in _texts(data.get("topic")):
                yield Reference("fires", "topic", topic, path)
        for given in (_object(step.get("target")), data, step):
            for key, kind in _TARGETS.items():
                for target in _texts(given.get(key)):
                    yield from self._target(Reference("controls", kind, target, path, state, domain))
        yield from self._snapshots(service, data, path)
        yield from self._templates(step.get("target"), f"{path}.target", depth)
        yield from self._templates(data, f"{path}.data", depth)

    def _target(self, reference: Reference) -> Iterator[Reference]:
        """Yield what a call is aimed at: `all` is its domain; a template that names no entity is the target itself."""
        if reference.target == "all" and reference.domain != "homeassistant":
            yield replace(reference, kind="domain", target=reference.domain)
        elif not is_template(reference.target):
            yield from _named(reference)
        elif not template_entities(reference.target, self._is_entity):
            yield replace(reference, kind="template")

    def _snapshots(self, service: str, data: Mapping[str, Any], path: str) -> Iterator[Reference]:
        """Yield what a scene that is made on the way holds: `scene.create`, `scene.apply`."""
        if service in ("scene.create", "scene.apply"):
            for name in _texts(data.get("snapshot_entities")):
                yield from _named(Reference("reads", "entity", name, path))
            for name in _object(data.get("entities")):
                yield from _named(Reference("controls", "entity", name, path))

    def _device_action(self, step: Mapping[str, Any], path: str) -> Iterator[Reference]:
        domain, state = str(step.get("domain")), _RESULTS.get(str(step.get("type")))
        for name in _texts(step.get("entity_id")):
            yield from _named(Reference("controls", "entity", name, path, state, domain))
        for name in _texts(step.get("device_id")):
            role: Role = "uses" if "entity_id" in step else "controls"
            yield from _named(Reference(role, "device", name, path, state, domain))

    # -- the rest ------------------------------------------------------------------------------------------

    def _blueprint(self, given: Any) -> Iterator[Reference]:
        if not isinstance(given, Mapping):
            return
        if isinstance(given.get("path"), str):
            yield Reference("uses", "blueprint", given["path"], "use_blueprint.path")
        yield from self._inputs(given.get("input"), "use_blueprint.input", 0)

    def _inputs(self, given: Any, path: str, depth: int) -> Iterator[Reference]:
        """Yield what inputs name. What the blueprint does with it is not known here, but a list of steps is plain."""
        if depth > _MAX_DEPTH:
            return
        if isinstance(given, Mapping):
            steps = list(self._step(given, path, depth))
            yield from steps
            for key, value in given.items():
                yield from self._inputs_of_key(key, value, path, depth)
        elif isinstance(given, list):
            for number, one in enumerate(given):
                yield from self._inputs(one, f"{path}[{number}]", depth + 1)
        elif isinstance(given, str):
            if self._is_entity(given):
                yield Reference("uses", "entity", given, path)
            yield from self._templates(given, path, depth)

    def _inputs_of_key(self, key: str, value: Any, path: str, depth: int) -> Iterator[Reference]:
        if key in _TARGETS and _TARGETS[key] != "entity":
            for name in _texts(value):
                yield Reference("uses", _TARGETS[key], name, f"{path}.{key}")
        else:
            yield from self._inputs(value, f"{path}.{key}", depth + 1)

    def _templates(self, given: Any, path: str, depth: int, role: Role = "reads") -> Iterator[Reference]:
        """Yield entities that templates name, wherever they stand below this value."""
        if depth > _MAX_DEPTH:
            return
        if isinstance(given, str):
            if is_template(given):
                for name in template_entities(given, self._is_entity):
                    yield Reference(role, "entity", name, path)
                if is_open(given):
                    yield Reference(role, "template", given, path)
        elif isinstance(given, Mapping):
            for key, value in given.items():
                yield from self._templates(value, f"{path}.{key}", depth + 1, role)
        elif isinstance(given, list):
            for number, value in enumerate(given):
                yield from self._templates(value, f"{path}[{number}]", depth + 1, role)


def _awaited_states(name: str, trigger: Mapping[str, Any]) -> list[str]:
    """Return the states that a state trigger waits for; none: any change.

    An automation is on while it may run: its runs change attributes alone, and are no change where states are named.
    """
    wanted = _texts(trigger.get("to"))
    if wanted or not name.startswith("automation."):
        return wanted
    changes_alone = any(key in trigger for key in ("to", "from", "not_to", "not_from"))
    return ["on", "off"] if changes_alone else [STARTED, "on", "off"]


def _named(reference: Reference, states: Sequence[str] = ()) -> Iterator[Reference]:
    """Yield the reference for each of its states; nothing where a template or a word for many stands in its place."""
    if is_template(reference.target) or reference.target in ("all", "none", ""):
        return
    if not states:
        yield reference
    yield from (replace(reference, state=state) for state in states)


def _as_enabled(part: Mapping[str, Any], found: Iterator[Reference]) -> Iterator[Reference]:
    """Yield what a part names; where it is switched off it does nothing, but it is named there all the same."""
    if part.get("enabled") is not False:
        yield from found
        return
    for one in found:
        path = one.path if one.path.endswith(_OFF) else f"{one.path}{_OFF}"
        yield replace(one, role="uses", state=None, domain="", path=path)


def _result(name: str, data: Mapping[str, Any]) -> str | None:
    """Return the state that a call leads to; None where it is not known."""
    if name in ("select_option", "set_option"):
        option = data.get("option")
        return option if isinstance(option, str) and not is_template(option) else None
    return _RESULTS.get(name)


def _times(given: Any) -> list[Any]:
    """Return times of day; where one is an entity with an offset, the entity."""
    return [one.get("entity_id") if isinstance(one, Mapping) else one for one in _items(given)]


def _items(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [] if given is None else [given]


def _texts(given: Any) -> list[str]:
    """Return the texts of one or several: a list, or names joined by commas."""
    found = [one for one in _items(given) if isinstance(one, str)]
    return [name.strip() for text in found for name in (text.split(",") if "{" not in text else [text])]


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
