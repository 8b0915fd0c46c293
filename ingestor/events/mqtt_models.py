"""The shapes of MQTT payloads as pydantic checks them; keeps no value and knows no topic."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

from ingestor.events.models import MAX_STATE, EntityId, EventType

Name = Annotated[str, StringConstraints(max_length=1000)]
Template = Annotated[str, StringConstraints(max_length=20_000)]


class StatestreamShape(TypedDict):
    """A state as the listener joined it from statestream topics; the times are absent where none were published."""

    entity_id: EntityId
    state: Annotated[str, StringConstraints(max_length=MAX_STATE)]
    last_updated: NotRequired[str | None]
    last_changed: NotRequired[str | None]
    attributes: NotRequired[dict[str, Any]]


class EventstreamShape(TypedDict):
    """What mqtt_eventstream publishes: no time, origin or context of the event."""

    event_type: EventType
    event_data: dict[str, Any]


class DiscoveredEntity(BaseModel):
    """An entity that MQTT discovery announced, as far as its state is read.

    `entity_id` is Home Assistant's own, where it is known. `payloads` maps what the device says to a state.
    """

    model_config = ConfigDict(frozen=True)

    component: Name
    object_id: Name
    unique_id: Name | None = None
    name: Name | None = None
    entity_id: EntityId | None = None
    unit: Name | None = None
    device_class: Name | None = None
    value_template: Template | None = None
    payloads: dict[Name, Name] = {}
    is_availability: bool = False


class DiscoveryReading(BaseModel):
    """A message on an announced topic: its payload (text, or base64 of bytes that are none), and who listens to it."""

    raw: str | None = None
    raw_base64: str | None = None
    entities: list[DiscoveredEntity]


class TopicReading(BaseModel):
    """A message on a topic that the user's settings map to an entity."""

    entity_id: EntityId
    value_path: Name | None = None
    unit: str | None = None
    device_class: str | None = None
    raw: str | None = None
    raw_base64: str | None = None


class Oversize(BaseModel):
    """What is kept of a payload above the limit."""

    bytes: int
    sha256: str


class Zigbee2MqttDevice(BaseModel):
    """A device as the bridge lists it."""

    ieee_address: Name
    friendly_name: Name


class Zigbee2MqttOwner(BaseModel):
    """The device that a payload names as its own."""

    ieee_address: Name = Field(alias="ieeeAddr")
    friendly_name: Name = Field(alias="friendlyName")


class UpdateVersions(BaseModel):
    """What an `update` entity is told; its state says whether the one is newer than the other."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    installed_version: str | None
    latest_version: str | None


class Zigbee2MqttAvailability(BaseModel):
    """A device's availability in its newer form; the older one is the bare word."""

    state: Literal["online", "offline"]


STATESTREAM: Final[TypeAdapter[StatestreamShape]] = TypeAdapter(StatestreamShape)
EVENTSTREAM: Final[TypeAdapter[EventstreamShape]] = TypeAdapter(EventstreamShape)
ZIGBEE2MQTT_DEVICES: Final[TypeAdapter[list[Zigbee2MqttDevice]]] = TypeAdapter(list[Zigbee2MqttDevice])
#: A device's payload: any keys, any values. Nothing but its being an object is promised.
DEVICE: Final[TypeAdapter[dict[str, Any]]] = TypeAdapter(dict[str, Any])

#: Marks a frame whose payload was too large to keep; no JSON begins so.
OVERSIZE_MARK: Final = b"\x00oversize "
