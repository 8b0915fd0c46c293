"""Settings of a home: where its events come from. Part of the tree in `settings`; reads nothing by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from ingestor import settings_types as types
from ingestor.settings_types import Glob, Group, Name

#: What a listener subscribes to when nothing is set; `*` stands for known names, since HA takes exact ones.
DEFAULT_EVENT_TYPES = (
    "state_changed",
    "automation_triggered",
    "script_started",
    "call_service",
    "*_registry_updated",
    "core_config_updated",
    "component_loaded",
    "service_registered",
    "service_removed",
    "homeassistant_start",
    "homeassistant_started",
    "homeassistant_stop",
    "homeassistant_final_write",
    "system_log_event",
    "user_*",
    "tag_scanned",
    "zha_event",
    "mobile_app_*",
    "persistent_notifications_updated",
    "repairs_issue_registry_updated",
)


class HomeAssistantSettings(Group):
    """The connection to Home Assistant's WebSocket API."""

    url: types.HomeAssistantUrl | None = Field(
        None,
        description="Address of Home Assistant, such as http://homeassistant.local:8123; empty: no WebSocket listener.",
    )
    token: types.Token = Field(
        None, description="Long-lived access token; of an admin, if causes and automations are wanted."
    )
    event_types: tuple[Glob, ...] = Field(
        DEFAULT_EVENT_TYPES,
        description="Event types to subscribe to; `*` within a name stands for the known ones that match.",
    )
    all_events: bool = Field(False, description="Subscribe to every event type instead.")
    verify_tls: bool = Field(True, description="Check the server's certificate (https).")
    connect_timeout_s: float = Field(
        10.0, gt=0, le=120, description="Seconds to wait for a connection and for the handshake."
    )
    ping_every_s: float = Field(20.0, gt=0, le=300, description="Seconds between pings.")
    dead_after_s: float = Field(
        10.0, gt=0, le=300, description="Seconds without any answer to a ping until the connection counts as dead."
    )
    listener: Name = Field(
        "websocket", description="Name of the listener; each of several listeners of a home has one of its own."
    )
    standby: bool = Field(
        False,
        description="Several listeners of this home may run, on any hosts: one listens, and within 5 s after its end"
        " another one does.",
    )
    reconnect_max_s: float = Field(60.0, ge=1, le=3600, description="Longest pause between two attempts to connect.")


class TopicMapping(Group):
    """A user topic: a pattern with named parts, and how it becomes a state."""

    topic: str = Field(
        min_length=1,
        description="Topic with named parts in braces, such as `heating/{room}/temp`; `+` and `#` as in MQTT.",
    )
    entity_id: str = Field(
        min_length=3, description="Entity to write, with the named parts, such as `sensor.heating_{room}`."
    )
    value_path: str | None = Field(
        None,
        description="Dotted path of the value in a JSON payload, such as `data.0.celsius`; empty: the payload as text.",
    )
    unit: str | None = Field(None, description="Unit of the value.")
    device_class: str | None = Field(None, description="Device class of the value.")


class MqttSettings(Group):
    """The connection to an MQTT broker, and what is understood on it."""

    url: types.MqttUrl | None = Field(
        None,
        description="Broker, such as mqtt://user:password@host:1883 or mqtts://host:8883; empty: no MQTT listener.",
    )
    username: str | None = Field(None, description="User name, if it is not in the URL.")
    password: SecretStr | None = Field(None, description="Password, if it is not in the URL.")
    listener: Name = Field(
        "mqtt", description="Name of the listener; each of several listeners of a home has one of its own."
    )
    client_id: str | None = Field(
        None, description="Client id of the persistent session; default: ha-ingestor-<home>-<listener>."
    )
    protocol: Literal["5", "3.1.1"] = Field("5", description="MQTT version.")
    keepalive_s: int = Field(30, ge=5, le=600, description="Keep-alive interval.")
    session_expiry_s: int = Field(
        7 * 86400, ge=0, le=0xFFFFFFFF, description="How long the broker keeps our session while we are away (MQTT 5)."
    )
    ca_file: Path | None = Field(None, description="CA certificate to trust (TLS).")
    cert_file: Path | None = Field(None, description="Client certificate (TLS).")
    key_file: Path | None = Field(None, description="Key of the client certificate (TLS).")
    verify_tls: bool = Field(True, description="Check the broker's certificate and name (TLS).")
    statestream_base: str | None = Field(
        "homeassistant", description="Base topic of mqtt_statestream; empty: not read."
    )
    statestream_domains: tuple[str, ...] = Field(
        (), description="Only these domains (a listener's share of the load); empty: all."
    )
    statestream_quiet_s: float = Field(
        0.5, gt=0, le=10, description="Quiet time after which a joined event is complete."
    )
    eventstream_topic: str | None = Field(None, description="Topic of mqtt_eventstream; empty: not read.")
    discovery_prefix: str | None = Field("homeassistant", description="Prefix of MQTT discovery; empty: not read.")
    zigbee2mqtt_base: str | None = Field("zigbee2mqtt", description="Base topic of zigbee2mqtt; empty: not read.")
    tasmota: bool = Field(True, description="Read Tasmota's tele/# and stat/# topics.")
    topics: tuple[TopicMapping, ...] = Field((), description="Topics of your own.")
    share_group: str | None = Field(
        None,
        description="Divide self-contained topics among listeners of this $share group; statestream is never shared.",
    )
    birth_topic: str = Field(
        "ha-ingestor/{home}/{listener}/status",
        description="Where `online` and (as last will) `offline` are published, retained.",
    )
    max_payload_bytes: int = Field(
        16 * 1024 * 1024, ge=1024, description="A larger payload goes to quarantine by its hash."
    )


class HomeSettings(Group):
    """One home: a name, and where its events come from."""

    name: Name = Field("home", description="Name of the home: the value of the tag `home`.")
    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
    mqtt: MqttSettings = MqttSettings()
