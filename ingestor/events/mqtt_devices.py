"""Decoders of what devices say: zigbee2mqtt, Tasmota, topics announced by discovery or mapped by the user; no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError

from ingestor import errors
from ingestor.events import decoding, mqtt_models
from ingestor.events.event import Event
from ingestor.events.frame import Frame
from ingestor.events.mqtt_reading import (
    checked,
    checked_model,
    entity_name,
    flatten,
    payload_text,
    reading,
    readings,
    require_kept,
    state_text,
    text_of,
)

_TEMPERATURES: Final = frozenset({"Temperature", "DewPoint"})
#: What a Tasmota payload says about itself, not about the device.
_ABOUT_ITSELF: Final = frozenset({"Time", "TempUnit", "PressureUnit"})
#: Answers to `Status` repeat what `tele/…/SENSOR` and `STATE` say, one level deeper.
_WRAPPERS: Final = frozenset({"StatusSNS", "StatusSTS"})
#: No list has more items; Python refuses to read numbers of thousands of digits.
_MAX_DIGITS: Final = 10


def decode_zigbee2mqtt(frame: Frame, first_slot: int, carries: frozenset[str]) -> list[Event | errors.Rejected]:
    """Return an event for each value in a device's payload, or the one of its availability.

    An entity is named by the whole topic and the key: `mqtt.zigbee2mqtt-kitchen-temperature`. Where the payload names
    its device, the unique id that zigbee2mqtt announces for that value is among the attributes.
    """
    require_kept(frame)
    path = tuple(frame.topic.split("/"))
    if path[-1] in ("availability", "state") and not frame.payload.lstrip().startswith((b"{", b"[")):
        return readings(frame, first_slot, [(entity_name(*path), text_of(frame.payload), None)])
    value = _json_or_text(frame.payload)
    if path[-1] == "availability":
        value = checked_model(mqtt_models.Zigbee2MqttAvailability, value).state
    if path[-2:] == ("bridge", "state") and isinstance(value, dict):
        value = value.get("state")
    owner = _take_owner(value)
    values = list(flatten(value))
    elements = readings(frame, first_slot, ((entity_name(*path, *inner), found, None) for inner, found in values))
    if owner is not None and "attributes" in carries:
        for (inner, _), element in zip(values, elements, strict=True):
            if isinstance(element, Event):
                unique_id = "_".join((owner.ieee_address, *inner, path[0]))
                element.attributes = {"unique_id": unique_id, "friendly_name": owner.friendly_name}
    return elements


def _take_owner(value: Any) -> mqtt_models.Zigbee2MqttOwner | None:
    """Take the device out of a payload; its model and address are no readings."""
    device = value.get("device") if isinstance(value, dict) else None
    if not isinstance(device, dict) or "ieeeAddr" not in device:
        return None
    del value["device"]
    try:
        return mqtt_models.Zigbee2MqttOwner.model_validate(device)
    except ValidationError:
        return None


def decode_tasmota(frame: Frame, first_slot: int, _carries: frozenset[str]) -> list[Event | errors.Rejected]:
    """Return an event for each value that a Tasmota device tells: `mqtt.tasmota-plug-ENERGY-Power`."""
    require_kept(frame)
    _, _, path = frame.topic.partition("/")
    *device, subject = path.split("/")
    if subject == "LWT" or subject.startswith("POWER"):
        return readings(frame, first_slot, [(entity_name("tasmota", *device, subject), text_of(frame.payload), None)])
    body = checked(mqtt_models.DEVICE, decoding.loads(frame.payload))
    return readings(frame, first_slot, _tasmota_values(body, device))


def _tasmota_values(body: dict[str, Any], device: list[str]) -> Iterator[tuple[str, Any, str | None]]:
    inner = next((body[name] for name in _WRAPPERS if isinstance(body.get(name), dict)), body)
    temperature = f"°{inner['TempUnit']}" if inner.get("TempUnit") in ("C", "F") else None
    for path, value in flatten(inner):
        if path and path[-1] not in _ABOUT_ITSELF:
            yield entity_name("tasmota", *device, *path), value, temperature if path[-1] in _TEMPERATURES else None


def decode_topic(frame: Frame, first_slot: int, _carries: frozenset[str]) -> list[Event | errors.Rejected]:
    """Return the event of a topic that the user's settings map to an entity."""
    require_kept(frame)
    found = checked_model(mqtt_models.TopicReading, decoding.loads(frame.payload))
    text = payload_text(found.raw, found.raw_base64)
    state = state_text(_at(decoding.loads(text.encode()), found.value_path)) if found.value_path else text
    return [reading(frame, first_slot, found.entity_id, state, unit=found.unit, device_class=found.device_class)]


def decode_discovery(frame: Frame, first_slot: int, carries: frozenset[str]) -> list[Event | errors.Rejected]:
    """Return an element for each entity that discovery announced for this topic, read as Home Assistant would.

    A payload that says nothing about an entity (a Tasmota answer about another switch) makes no event of it.
    """
    require_kept(frame)
    found = checked_model(mqtt_models.DiscoveryReading, decoding.loads(frame.payload))
    text = payload_text(found.raw, found.raw_base64)
    elements: list[Event | errors.Rejected] = []
    for entity in found.entities:
        try:
            event = _discovered(frame, first_slot + len(elements), entity, text)
        except errors.Rejected as error:
            error.raw = frame.payload
            elements.append(error)
            continue
        if event is None:
            continue
        if entity.unique_id and "attributes" in carries:
            event.attributes = {"unique_id": entity.unique_id}
        elements.append(event)
    return elements


def _discovered(frame: Frame, slot: int, entity: mqtt_models.DiscoveredEntity, text: str) -> Event | None:
    """Return the event of one entity; None where Home Assistant would pass over what the template gives."""
    value = text if entity.value_template is None else _evaluated(entity.value_template, text)
    if not value and entity.payloads:
        return None
    own_name = entity_name("discovery", entity.component, entity.unique_id or entity.object_id)
    name, state = entity.entity_id or own_name, entity.payloads.get(value, value)
    if entity.component == "update":
        known = _update_state(value)
        # Without the latest version, which comes on another topic, it is not the state that Home Assistant has.
        name, state = (own_name, value) if known is None else (name, known)
    return reading(frame, slot, name, state, unit=entity.unit, device_class=entity.device_class)


def _evaluated(template: str, text: str) -> str:
    from ingestor.events.mqtt_templates import evaluate  # noqa: PLC0415 -- Jinja: most homes never need it

    return evaluate(template, text)


def _update_state(value: str) -> str | None:
    """Return whether there is something newer than what is installed; None where only one version is told."""
    try:
        versions = mqtt_models.UpdateVersions.model_validate(decoding.loads(value.encode("utf-8", "surrogatepass")))
    except (errors.UndecodableFrame, ValidationError):
        return None
    if not versions.installed_version or not versions.latest_version:
        return "unknown"
    return "on" if _is_newer(versions.latest_version, versions.installed_version) else "off"


def _is_newer(latest: str, installed: str) -> bool:
    try:
        return [int(part) for part in latest.split(".")] > [int(part) for part in installed.split(".")]
    except ValueError:
        return latest != installed


def _json_or_text(payload: bytes) -> Any:
    """Return JSON, or the text that a plain value is."""
    try:
        return decoding.loads(payload)
    except errors.UndecodableFrame:
        if payload.lstrip().startswith((b"{", b"[")):
            raise
        return text_of(payload)


def _at(value: Any, path: str) -> Any:
    """Return what a dotted path leads to. Raises InvalidEvent("no_value") where there is nothing."""
    for part in path.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and len(part) < _MAX_DIGITS and int(part) < len(value):
            value = value[int(part)]
        else:
            raise errors.InvalidEvent("no_value", f"the payload has nothing at {path!r}")
    return value
