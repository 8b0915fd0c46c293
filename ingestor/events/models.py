"""The shapes of Home Assistant's events as pydantic checks them, a model for each kind; keeps no value by itself.

`state_changed` is nine events of ten: its shape is a TypedDict, which pydantic checks in 3 microseconds where a
model class takes 5 to 7. A kind that is not listed is `UnknownEvent`: stored with its data, never dropped.
"""

from __future__ import annotations

from typing import (
    Annotated,
    Any,
    Final,
    NotRequired,  # pydantic asks for this one below Python 3.12
)

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter
from typing_extensions import TypedDict

#: Longest entity_id (Home Assistant allows 255) and longest state (it allows 255; a forged event may bring more).
MAX_ENTITY_ID: Final = 255
MAX_STATE: Final = 16_384
#: Longest unit, device class and state class; a longer one is none.
MAX_SHORT_TEXT: Final = 64

EntityId = Annotated[str, StringConstraints(max_length=MAX_ENTITY_ID, pattern=r"^[^.\s/#+]+\.[^.\s/#+]+$")]
EventType = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class ContextShape(TypedDict):
    """Who or what caused an event."""

    id: str
    parent_id: str | None
    user_id: str | None


class OldStateShape(TypedDict):
    """What is kept of the state before: its text, and since when it was so."""

    state: Annotated[str, StringConstraints(max_length=MAX_STATE)]
    last_changed: NotRequired[Any]


class NewStateShape(TypedDict):
    """The state after; `last_reported` (2024.8 and later) is not used."""

    state: Annotated[str, StringConstraints(max_length=MAX_STATE)]
    attributes: dict[str, Any]
    last_changed: str
    last_updated: str


class StateChangedData(TypedDict):
    """The data of `state_changed`; None for a state that is not there (new or removed entity)."""

    entity_id: EntityId
    old_state: OldStateShape | None
    new_state: NewStateShape | None


class Envelope(TypedDict):
    """What is round the data of every event."""

    event_type: EventType
    data: dict[str, Any]
    origin: str
    time_fired: str
    context: ContextShape


class StateChangedEvent(TypedDict):
    """A whole `state_changed` event."""

    event_type: str
    data: StateChangedData
    origin: str
    time_fired: str
    context: ContextShape


class EventData(BaseModel):
    """Data of an event that is no state: the fields that we rely on; others are kept as they are."""

    model_config = ConfigDict(extra="allow")

    def about(self) -> str | None:
        """Return what the event is about, for its series: an entity_id, `domain.service`; None for nothing."""
        return None


class UnknownEvent(EventData):
    """Any kind that is not listed here."""

    entity_id: Any = None

    def about(self) -> str | None:
        """Return the entity_id, where there is exactly one."""
        return self.entity_id if isinstance(self.entity_id, str) and len(self.entity_id) <= MAX_ENTITY_ID else None


class EntityEvent(EventData):
    """An event of one entity: automation_triggered, script_started."""

    entity_id: EntityId
    name: str | None = None

    def about(self) -> str | None:
        """Return the entity."""
        return self.entity_id


class ServiceEvent(EventData):
    """call_service, service_registered, service_removed."""

    domain: Annotated[str, StringConstraints(max_length=100)]
    service: Annotated[str, StringConstraints(max_length=100)]
    service_data: dict[str, Any] | None = None

    def about(self) -> str | None:
        """Return the service."""
        return f"{self.domain}.{self.service}"


class RegistryEvent(EventData):
    """area/device/floor/label/category registry updates: what was done, to which id."""

    action: str


class EntityRegistryEvent(RegistryEvent):
    """entity_registry_updated; on a rename `entity_id` is the new name and `old_entity_id` the old one."""

    entity_id: EntityId
    old_entity_id: str | None = None
    changes: dict[str, Any] | None = None

    def about(self) -> str | None:
        """Return the entity."""
        return self.entity_id


class SystemLogEvent(EventData):
    """system_log_event: a warning or error that HA logged; `message` is a list since 2021."""

    name: str
    message: list[str] | str
    level: str
    source: list[Any] | None = None
    exception: str | None = None
    count: int | None = None


class ComponentEvent(EventData):
    """component_loaded."""

    component: Annotated[str, StringConstraints(max_length=100)]

    def about(self) -> str | None:
        """Return the component."""
        return self.component


class TagEvent(EventData):
    """tag_scanned."""

    tag_id: str
    device_id: str | None = None


class UserEvent(EventData):
    """user_added, user_updated, user_removed."""

    user_id: str


class IssueEvent(RegistryEvent):
    """repairs_issue_registry_updated."""

    domain: str
    issue_id: str


class LifecycleEvent(EventData):
    """homeassistant_start and the like, core_config_updated: what they say is that they happened."""


_KINDS: Final[dict[str, type[EventData]]] = {
    "automation_triggered": EntityEvent,
    "script_started": EntityEvent,
    "call_service": ServiceEvent,
    "service_registered": ServiceEvent,
    "service_removed": ServiceEvent,
    "entity_registry_updated": EntityRegistryEvent,
    "area_registry_updated": RegistryEvent,
    "device_registry_updated": RegistryEvent,
    "floor_registry_updated": RegistryEvent,
    "label_registry_updated": RegistryEvent,
    "category_registry_updated": RegistryEvent,
    "repairs_issue_registry_updated": IssueEvent,
    "system_log_event": SystemLogEvent,
    "component_loaded": ComponentEvent,
    "tag_scanned": TagEvent,
    "user_added": UserEvent,
    "user_updated": UserEvent,
    "user_removed": UserEvent,
    "core_config_updated": LifecycleEvent,
    "homeassistant_start": LifecycleEvent,
    "homeassistant_started": LifecycleEvent,
    "homeassistant_stop": LifecycleEvent,
    "homeassistant_final_write": LifecycleEvent,
}

STATE_CHANGED: Final[TypeAdapter[StateChangedEvent]] = TypeAdapter(StateChangedEvent)
ENVELOPE: Final[TypeAdapter[Envelope]] = TypeAdapter(Envelope)


def model_of(event_type: str) -> type[EventData]:
    """Return the model for the data of that kind of event."""
    return _KINDS.get(event_type, UnknownEvent)


__all__ = ["ENVELOPE", "STATE_CHANGED", "EventData", "UnknownEvent", "model_of"]
