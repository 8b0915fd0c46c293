"""What enrichment must know of a home beside the places of its entities; published whole, looked up without I/O."""

from __future__ import annotations

from typing import Protocol

import msgspec


class AreaFacts(msgspec.Struct, frozen=True):
    """A room. The sensors are those that its settings in Home Assistant name, else the first fitting ones in it."""

    area_id: str
    name: str
    floor: str = ""
    temperature_entity_id: str = ""
    humidity_entity_id: str = ""


class PersonFacts(msgspec.Struct, frozen=True):
    """A person; `user_id` is "" for one without a login."""

    entity_id: str
    name: str
    user_id: str = ""


class ZoneFacts(msgspec.Struct, frozen=True):
    """A zone: degrees and metres."""

    entity_id: str
    name: str
    latitude: float
    longitude: float
    radius_m: float


class IntegrationFacts(msgspec.Struct, frozen=True):
    """An integration: what its manifest and its config entries say.

    `state` is "loaded", "setup_retry", ...; `loggers` are those of its libraries.
    """

    domain: str
    name: str = ""
    version: str = ""
    quality_scale: str = ""
    iot_class: str = ""
    state: str = ""
    loggers: tuple[str, ...] = ()


class AutomationFacts(msgspec.Struct, frozen=True):
    """An automation or a script: its entity, its name and its own id (not for a script)."""

    entity_id: str
    name: str
    unique_id: str = ""


class DeviceFacts(msgspec.Struct, frozen=True):
    """A device by its id: its name as in `Place.device`, and the entities that tell of its network and battery."""

    device_id: str
    name: str = ""
    area: str = ""
    link_quality_entity_id: str = ""
    signal_entity_id: str = ""
    battery_entity_id: str = ""
    via_device_id: str = ""
    integration: str = ""


class HomeFacts(msgspec.Struct):
    """One version of a home's facts. What the token may not see is empty, and named in `hidden`.

    `time_zone` is an IANA name, `country` an ISO 3166 code; both "" where unknown, as before the first sync.
    `entity_devices` gives the device_id of an entity_id, `users` the name of a user_id; the others are by their id.
    """

    home: str
    version: int = 0
    latitude: float | None = None
    longitude: float | None = None
    elevation_m: float = 0.0
    time_zone: str = ""
    country: str = ""
    temperature_unit: str = ""
    ha_version: str = ""
    areas: dict[str, AreaFacts] = msgspec.field(default_factory=dict)
    persons: list[PersonFacts] = msgspec.field(default_factory=list)
    zones: list[ZoneFacts] = msgspec.field(default_factory=list)
    weather_entity_ids: list[str] = msgspec.field(default_factory=list)
    integrations: dict[str, IntegrationFacts] = msgspec.field(default_factory=dict)
    devices: dict[str, DeviceFacts] = msgspec.field(default_factory=dict)
    entity_devices: dict[str, str] = msgspec.field(default_factory=dict)
    users: dict[str, str] = msgspec.field(default_factory=dict)
    automations: dict[str, AutomationFacts] = msgspec.field(default_factory=dict)
    hidden: list[str] = msgspec.field(default_factory=list)


class FactsSource(Protocol):
    """The facts of the homes, as far as this process has read them."""

    def facts(self, home: str) -> HomeFacts:
        """Return the newest facts of a home; empty ones before its first sync. No I/O."""
        ...

    def refresh(self) -> None:
        """Read newer versions, if there are any; cheap when there are none. Raises StateUnavailable."""
        ...


class MemoryFacts:
    """Facts within one process: for tests and for trying things out."""

    def __init__(self, *facts: HomeFacts) -> None:
        self._facts = {one.home: one for one in facts}

    def publish(self, facts: HomeFacts) -> None:
        """Put facts out."""
        self._facts[facts.home] = facts

    def facts(self, home: str) -> HomeFacts:
        """Return the newest facts of a home; empty ones before its first sync."""
        return self._facts.get(home) or HomeFacts(home)

    def refresh(self) -> None:
        """Do nothing: there is no other copy."""
