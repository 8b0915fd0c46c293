"""The settings of MQTT out: where messages of the live channel and our own sensors are published. Part of `settings`.

What we publish must never come back as events by our own listener: topics that it hears are refused here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr, field_validator

from ingestor import settings_types as types
from ingestor.settings_homes import MqttSettings
from ingestor.settings_types import Group

#: The level of discovery topics by which our own are known, whoever of us has published them.
DISCOVERY_NODE: Final = "ha_ingestor"
#: What a topic may be made of.
PARTS: Final = ("home", "domain", "object_id", "entity_id", "event", "event_type", "area", "device")
_PART: Final = re.compile(r"\{([^{}]*)\}")
#: What MQTT 5 (1.5.4) says no text may or should have, inside the brackets of a regular expression: control characters,
#: surrogates, noncharacters. Mosquitto throws out who sends a topic with one.
REFUSED_SIGNS: Final = r"\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef" + "".join(
    rf"\U{plane:04x}fffe\U{plane:04x}ffff" for plane in range(17)
)
_REFUSED: Final = re.compile(f"[{REFUSED_SIGNS}]")


class MqttOutFilter(Group):
    """Which messages are published; of several values of one kind any may fit, of different kinds all must."""

    entity: tuple[str, ...] = Field((), max_length=50, description="Globs over the entity_id.")
    domain: tuple[str, ...] = Field((), max_length=50, description="Domains, such as `sensor`.")
    area: tuple[str, ...] = Field((), max_length=50, description="Names of areas.")
    device: tuple[str, ...] = Field((), max_length=50, description="Names of devices.")
    type: tuple[str, ...] = Field((), max_length=50, description="Globs over the type of message: `event.new`.")
    home: tuple[str, ...] = Field((), max_length=50, description="Names of homes.")


class MqttOutSettings(Group):
    """MQTT out: messages of the live channel, and sensors of our own, published to a broker."""

    url: types.MqttUrl | None = Field(
        None, description="Broker, such as mqtt://user:password@host:1883 or mqtts://host:8883; empty: nothing is."
    )
    username: str | None = Field(None, description="User name, if it is not in the URL.")
    password: SecretStr | None = Field(None, description="Password, if it is not in the URL.")
    client_id: str = Field("ha-ingestor-out", min_length=1, max_length=64, description="Client id of the connection.")
    protocol: Literal["5", "3.1.1"] = Field("5", description="MQTT version.")
    keepalive_s: int = Field(30, ge=5, le=600, description="Keep-alive interval.")
    ca_file: Path | None = Field(None, description="CA certificate to trust (TLS).")
    cert_file: Path | None = Field(None, description="Client certificate (TLS).")
    key_file: Path | None = Field(None, description="Key of the client certificate (TLS).")
    verify_tls: bool = Field(True, description="Check the broker's certificate and name (TLS).")
    base: str = Field(
        "ha-ingestor",
        min_length=1,
        max_length=200,
        pattern=r"^[^+#{}\x00/]+(/[^+#{}\x00/]+)*$",
        description="Where status (`BASE/out/status`), sensors (`BASE/HOME/sensors`) and gaps (`BASE/HOME/gap`) are.",
    )
    topic: str | None = Field(
        "ha-ingestor/{home}/{domain}/{object_id}/{event}",
        max_length=500,
        description="Topic of a message, of words and {home}, {domain}, {object_id}, {entity_id}, {event} (type of"
        " message), {event_type}, {area}, {device}; empty: no messages, only sensors.",
    )
    qos: Literal[0, 1] = Field(1, description="0: what is on its way when the connection breaks is gone; 1: it is not.")
    inflight: int = Field(
        20,
        ge=1,
        le=1000,
        description="Messages of QoS 1 on their way at once; a broker throws out who sends more than it takes.",
    )
    retain: bool = Field(False, description="Have the broker keep the newest message of each topic.")
    form: Literal["native", "cloudevents"] = Field("native", description="Form of a message.")
    late: bool = Field(False, description="Also what happened more than a minute before it was told.")
    filter: MqttOutFilter = MqttOutFilter()
    discovery: bool = Field(True, description="Announce our own sensors to Home Assistant.")
    discovery_prefix: str = Field(
        "homeassistant",
        min_length=1,
        max_length=200,
        pattern=r"^[^+#{}\x00]+$",
        description="Prefix of MQTT discovery; below it Home Assistant says when it has started (`PREFIX/status`).",
    )
    sensors_every_s: float = Field(30.0, ge=1, le=3600, description="Seconds between two figures of our sensors.")

    @field_validator("base", "discovery_prefix", "topic", "client_id")
    @classmethod
    def _check_signs(cls, value: str | None) -> str | None:
        if value and _REFUSED.search(value):
            raise ValueError("has a control character or another that brokers refuse")
        return value

    @field_validator("topic")
    @classmethod
    def _check_topic(cls, value: str | None) -> str | None:
        if value is None:
            return None
        unknown = [part for part in _PART.findall(value) if part not in PARTS]
        if unknown:
            raise ValueError(f"{{{unknown[0]}}} is none of {', '.join(f'{{{part}}}' for part in PARTS)}")
        if any(sign in _PART.sub("", value) for sign in "+#{}"):
            raise ValueError("has a sign that no topic may have: + # { }")
        if _PART.search(value.partition("/")[0]):
            raise ValueError("begins with a word, so that our topics can be told from others")
        return value

    def published(self) -> tuple[str, ...]:
        """Return filters of all that we publish, but for discovery."""
        own = (f"{self.base}/out/status", f"{self.base}/+/sensors", f"{self.base}/+/gap")
        return (*own, filter_of_topic(self.topic)) if self.topic else own


def filter_of_topic(topic: str) -> str:
    """Return the MQTT filter of all topics that a template makes."""
    return "/".join("+" if _PART.search(level) else level for level in topic.split("/"))


def own_topics(out: MqttOutSettings) -> tuple[str, ...]:
    """Return filters of what a listener must take for ours, whoever publishes it."""
    prefixes = dict.fromkeys((out.discovery_prefix, "homeassistant"))
    configs = tuple(f"{prefix}/+/{DISCOVERY_NODE}/+/config" for prefix in prefixes)
    return (*configs, *out.published()) if out.url else configs


def heard_again(out: MqttOutSettings, listeners: Iterable[MqttSettings]) -> Iterator[tuple[str, str]]:
    """Yield what we publish and a listener would hear: our filter, and its own."""
    if not out.url:
        return
    for listener in listeners:
        for heard in listened_to(listener) if listener.url else ():
            yield from ((own, heard) for own in out.published() if overlap(own, heard))


def listened_to(mqtt: MqttSettings) -> list[str]:
    """Return the filters of all that a listener makes events of (a test holds them against what it subscribes to)."""
    found = [f"{mqtt.statestream_base}/+/+/#"] if mqtt.statestream_base else []
    found += ["/".join("+" if _PART.search(level) else level for level in one.topic.split("/")) for one in mqtt.topics]
    found += [mqtt.eventstream_topic] if mqtt.eventstream_topic else []
    found += [f"{mqtt.zigbee2mqtt_base}/#"] if mqtt.zigbee2mqtt_base else []
    return found + (["tele/#", "stat/#"] if mqtt.tasmota else [])


def overlap(one: str, other: str) -> bool:
    """Tell whether there is a topic that both filters match."""
    mine, yours = one.split("/"), other.split("/")
    for place in range(max(len(mine), len(yours))):
        levels = [levels[place] if place < len(levels) else None for levels in (mine, yours)]
        if "#" in levels:
            return True
        if None in levels:
            # `a/#` matches `a` too.
            return False
        if "+" not in levels and levels[0] != levels[1]:
            return False
    return True
