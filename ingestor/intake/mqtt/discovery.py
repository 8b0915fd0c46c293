"""What MQTT discovery announced: which entities read which topics; reads configs, subscribes to nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Annotated, Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from ingestor import errors
from ingestor.events import decoding
from ingestor.events.mqtt_models import DiscoveredEntity, Name, Template
from ingestor.intake.mqtt.announced import MAX_ENTITIES, Announced

# MQTT's own limit.
Topic = Annotated[str, StringConstraints(max_length=65_535)]
EntityOf = Callable[[str, str], str | None]

_SHORT: Final = {
    "stat_t": "state_topic",
    "uniq_id": "unique_id",
    "obj_id": "object_id",
    "unit_of_meas": "unit_of_measurement",
    "dev_cla": "device_class",
    "val_tpl": "value_template",
    "stat_val_tpl": "state_value_template",
    "stat_tpl": "state_template",
    "pl_home": "payload_home",
    "pl_not_home": "payload_not_home",
    "pl_on": "payload_on",
    "pl_off": "payload_off",
    "stat_on": "state_on",
    "stat_off": "state_off",
    "stat_locked": "state_locked",
    "stat_unlocked": "state_unlocked",
    "stat_open": "state_open",
    "stat_clsd": "state_closed",
    "stat_closing": "state_closing",
    "stat_opening": "state_opening",
    "stat_stopped": "state_stopped",
    "cmps": "components",
    "p": "platform",
}
#: What a device says for which state: the setting that names it, the setting before that, and the default.
_PAYLOADS: Final[dict[str, tuple[tuple[str, tuple[str, ...], str], ...]]] = {
    "binary_sensor": (("on", ("payload_on",), "ON"), ("off", ("payload_off",), "OFF")),
    "switch": (("on", ("state_on", "payload_on"), "ON"), ("off", ("state_off", "payload_off"), "OFF")),
    "light": (("on", ("payload_on",), "ON"), ("off", ("payload_off",), "OFF")),
    "fan": (("on", ("payload_on",), "ON"), ("off", ("payload_off",), "OFF")),
    "siren": (("on", ("state_on", "payload_on"), "ON"), ("off", ("state_off", "payload_off"), "OFF")),
    "humidifier": (("on", ("payload_on",), "ON"), ("off", ("payload_off",), "OFF")),
    "lock": (("locked", ("state_locked",), "LOCKED"), ("unlocked", ("state_unlocked",), "UNLOCKED")),
    "cover": (
        ("open", ("state_open",), "open"),
        ("closed", ("state_closed",), "closed"),
        ("opening", ("state_opening",), "opening"),
        ("closing", ("state_closing",), "closing"),
    ),
    "device_tracker": (("home", ("payload_home",), "home"), ("not_home", ("payload_not_home",), "not_home")),
}
#: What has no state of its own, whatever its device shares.
_STATELESS: Final = frozenset({"button", "scene", "notify", "tag", "device_automation", "camera", "image", "climate"})
#: What reads its state by `state_value_template`.
_READ_APART: Final = frozenset({"fan", "siren", "humidifier"})
#: What has a state that is not in the message: so no reading of it goes by Home Assistant's name for it.
_NEVER_MATCHED: Final = frozenset({"event"})


class DiscoveryConfig(BaseModel):
    """One entity's config, in full names, as far as its state is read."""

    model_config = ConfigDict(extra="allow")

    state_topic: Topic
    unique_id: Name | None = None
    object_id: Name | None = None
    name: Name | None = None
    unit_of_measurement: Name | None = None
    device_class: Name | None = None
    value_template: Template | None = None
    state_value_template: Template | None = None
    state_template: Template | None = None
    schema_name: str | None = Field(None, alias="schema")

    @field_validator("name", "unique_id", "object_id", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value


class Discovery:
    """The entities that are announced now. `entity_of(component, unique_id)` names Home Assistant's own entity."""

    def __init__(self, prefix: str, entity_of: EntityOf | None = None) -> None:
        self._prefix = prefix
        self._entity_of = entity_of or (lambda _component, _unique_id: None)
        self._announced = Announced()
        self._unread = 0

    @property
    def refused(self) -> int:
        """Entities that could not be read, or that there was no room for."""
        return self._unread + self._announced.refused

    def is_config_topic(self, topic: str) -> bool:
        """Tell whether a topic has the form `<prefix>/<component>/[<node>/]<object>/config`."""
        levels = topic.removeprefix(f"{self._prefix}/").split("/")
        return topic.startswith(f"{self._prefix}/") and len(levels) in (3, 4) and levels[-1] == "config"

    def learn(self, topic: str, payload: bytes) -> bool:
        """Take in what came on a config topic; an empty payload withdraws it.

        Returns whether it was a config: an attribute named `config` of statestream comes on such a topic too.
        """
        if not payload:
            known = topic in self._announced
            self._announced.replace(topic, [])
            return known
        try:
            body = decoding.loads(payload)
        except errors.UndecodableFrame:
            return False
        if not isinstance(body, dict) or not _looks_like_config(body):
            return False
        self._announced.replace(topic, list(islice(self._entities(topic, body), MAX_ENTITIES)))
        return True

    def entities_at(self, topic: str, *, also_wide: bool = True) -> list[DiscoveredEntity]:
        """Return the entities whose state is read from that topic; `also_wide`: those of a filter that matches it."""
        return [self._matched(entity) for entity in self._announced.at(topic, also_wide=also_wide)]

    def topics(self) -> list[str]:
        """Return all announced state topics."""
        return self._announced.topics()

    def __len__(self) -> int:
        return len(self._announced)

    def _matched(self, entity: DiscoveredEntity) -> DiscoveredEntity:
        if not entity.unique_id or entity.component in _NEVER_MATCHED:
            return entity
        name = self._entity_of(entity.component, entity.unique_id)
        return entity.model_copy(update={"entity_id": name}) if name else entity

    def _entities(self, topic: str, body: dict[str, Any]) -> Iterator[tuple[str, DiscoveredEntity]]:
        """Yield (state topic, entity) of a config, or of each component of a device's config."""
        component, *_, object_id, _config = topic.removeprefix(f"{self._prefix}/").split("/")
        whole = _long_names(body)
        parts = whole.get("components")
        if component == "device" and isinstance(parts, dict):
            for key, part in parts.items():
                if isinstance(part, dict):
                    one = {**_shared(whole), **_long_names(part)}
                    yield from self._entity(str(one.get("platform", "")), f"{object_id}_{key}", one)
            return
        yield from self._entity(component, object_id, whole)

    def _entity(self, component: str, object_id: str, config: dict[str, Any]) -> Iterator[tuple[str, DiscoveredEntity]]:
        if "state_topic" not in config or component in _STATELESS:
            return
        try:
            read = DiscoveryConfig.model_validate(_with_base(config))
            if read.state_topic[:1] in ("", "#", "+", "$"):  # all that is on the broker is no device's state
                self._unread += 1
                return
            yield read.state_topic, _entity_of_config(component, object_id, read)
        except ValidationError:
            self._unread += 1


def frame_payload(raw: bytes, entities: list[DiscoveredEntity]) -> bytes:
    """Return what a frame of kind "discovery" holds."""
    return orjson.dumps(
        {**raw_part(raw), "entities": [entity.model_dump(exclude_defaults=True) for entity in entities]}
    )


def raw_part(raw: bytes) -> dict[str, str]:
    """Return a payload as a part of JSON."""
    try:
        return {"raw": raw.decode()}
    except UnicodeDecodeError:
        return {"raw_base64": base64.b64encode(raw).decode()}


def _entity_of_config(component: str, object_id: str, config: DiscoveryConfig) -> DiscoveredEntity:
    return DiscoveredEntity(
        component=component,
        object_id=config.object_id or object_id,
        unique_id=config.unique_id,
        name=config.name,
        unit=config.unit_of_measurement,
        device_class=config.device_class,
        value_template=_template(component, config),
        payloads=_payloads(component, config.model_extra or {}),
    )


def _template(component: str, config: DiscoveryConfig) -> str | None:
    """Return the template by which Home Assistant reads the state of such a component."""
    if component == "vacuum" or (component == "light" and config.schema_name == "json"):
        return "{{ value_json.state }}"
    if component == "light" and config.schema_name == "template":
        return config.state_template
    if component == "light" or component in _READ_APART:
        return config.state_value_template or (config.value_template if component == "light" else None)
    return config.value_template


def _payloads(component: str, config: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for state, names, default in _PAYLOADS.get(component, ()):
        said = next((config[name] for name in names if config.get(name) is not None), default)
        # A template gives `True` for a JSON true, and so does Home Assistant's reading of `payload_on: true`.
        found[str(said)] = state
    return found


def _looks_like_config(body: dict[str, Any]) -> bool:
    names = _long_names(body)
    known = ("state_topic", "components", "command_topic", "cmd_t", "topic", "t", "device", "dev", "~", "unique_id")
    return any(name in names for name in known) or any(str(name).endswith(("_topic", "_t")) for name in body)


def _long_names(body: dict[str, Any]) -> dict[str, Any]:
    return {_SHORT.get(name, name): value for name, value in body.items()}


def _shared(whole: dict[str, Any]) -> dict[str, Any]:
    return {name: whole[name] for name in ("state_topic", "~", "availability_topic") if name in whole}


def _with_base(config: dict[str, Any]) -> dict[str, Any]:
    """Put the base topic `~` into the state topic."""
    base, topic = config.get("~"), config["state_topic"]
    if isinstance(base, str) and isinstance(topic, str):
        if topic.startswith("~"):
            topic = base + topic[1:]
        elif topic.endswith("~"):
            topic = topic[:-1] + base
    return {**config, "state_topic": topic}
