"""Which topics a listener subscribes to, and what kind of message comes on each; reads no payload."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from ingestor.intake.mqtt.filters import covers, filter_of, matches, named_parts, without_covered
from ingestor.settings import MqttSettings, TopicMapping

#: What the broker says of messages that it threw away, for any client.
DROPPED_TOPIC: Final = "$SYS/broker/publish/messages/dropped"
#: Where a zigbee2mqtt bridge lists its devices, retained.
_DEVICES_TOPIC: Final = "bridge/devices"
_TASMOTA_TOPIC: Final = re.compile(
    r"(?:tele/.+/(?:LWT|STATE|SENSOR|RESULT|POWER\d*|STATUS\d*|UPTIME|INFO\d|MARGINS)|"
    r"stat/.+/(?:RESULT|POWER\d*|STATUS\d*))"
)

Kind = Literal["statestream", "eventstream", "zigbee2mqtt", "tasmota", "topic", "devices", "dropped", "ignored", "own"]


@dataclass(frozen=True, slots=True)
class Route:
    """What a topic is; for one of the user's: the entity that it means, and its mapping."""

    kind: Kind
    entity_id: str = ""
    mapping: TopicMapping | None = None


_IGNORED: Final = Route("ignored")
_OWN: Final = Route("own")
_DROPPED: Final = Route("dropped")
_DEVICES: Final = Route("devices")
_EVENTSTREAM: Final = Route("eventstream")
_ZIGBEE2MQTT: Final = Route("zigbee2mqtt")
_STATESTREAM: Final = Route("statestream")
_TASMOTA: Final = Route("tasmota")


class Routes:
    """The routes that the settings ask for; `own` are filters of what we publish ourselves, which is no event."""

    def __init__(self, settings: MqttSettings, own: Iterable[str] = ()) -> None:
        self._settings = settings
        self._own = tuple(own)
        self._mappings = [(named_parts(mapping.topic), mapping) for mapping in settings.topics]
        self._base = f"{settings.statestream_base}/" if settings.statestream_base else None
        self._zigbee = f"{settings.zigbee2mqtt_base}/" if settings.zigbee2mqtt_base else None

    def of(self, topic: str) -> Route:
        """Return what the topic is; the user's own word comes first, but behind ours: that would go round for ever."""
        if any(matches(one, topic) for one in self._own):
            return _OWN
        for pattern, mapping in self._mappings:
            if (found := pattern.fullmatch(topic)) is not None:
                return Route("topic", _named(mapping.entity_id, found), mapping)
        fixed = {self._settings.eventstream_topic: _EVENTSTREAM, DROPPED_TOPIC: _DROPPED}
        return fixed.get(topic) or self._by_prefix(topic)

    def _by_prefix(self, topic: str) -> Route:
        if self._zigbee and topic == f"{self._zigbee}{_DEVICES_TOPIC}":
            return _DEVICES
        if self._zigbee and topic.startswith(self._zigbee):
            return _ZIGBEE2MQTT if _is_of_a_device(topic[len(self._zigbee) :]) else _IGNORED
        if self._base and topic.startswith(self._base) and topic.count("/", len(self._base)) >= 2:  # noqa: PLR2004 - domain/object/leaf
            return _STATESTREAM
        if self._settings.tasmota and _TASMOTA_TOPIC.fullmatch(topic):
            return _TASMOTA
        return _IGNORED

    def filters(self, announced: Iterable[str]) -> dict[str, int]:
        """Return what to subscribe to, with the QoS of each.

        A filter that another one covers is left out: the broker would deliver twice. Only what stands alone is
        shared with other listeners; statestream never is (rule 9), and each listener reads every config and the list
        of zigbee2mqtt's devices: brokers replay no retained message to those who share.
        """
        own = without_covered([*self._statestream(), *self._discovery(), *self._devices()])
        others = [one for one in announced if not any(covers(mine, one) for mine in self._own)]
        alone = [one for one in without_covered([*self._alone(), *others]) if not any(covers(o, one) for o in own)]
        group = self._settings.share_group
        shared = [f"$share/{group}/{one}" for one in alone] if group else alone
        return {**dict.fromkeys([*own, *shared], 1), DROPPED_TOPIC: 0}

    def _statestream(self) -> list[str]:
        base, domains = self._settings.statestream_base, self._settings.statestream_domains
        return [f"{base}/{domain}/+/#" for domain in domains or ("+",)] if base else []

    def _discovery(self) -> list[str]:
        prefix = self._settings.discovery_prefix
        return [f"{prefix}/+/+/config", f"{prefix}/+/+/+/config"] if prefix else []

    def _devices(self) -> list[str]:
        return [f"{self._zigbee}{_DEVICES_TOPIC}"] if self._zigbee and self._settings.share_group else []

    def _alone(self) -> list[str]:
        settings = self._settings
        found = [filter_of(mapping.topic) for mapping in settings.topics]
        found += [settings.eventstream_topic] if settings.eventstream_topic else []
        found += [f"{settings.zigbee2mqtt_base}/#"] if settings.zigbee2mqtt_base else []
        return found + (["tele/#", "stat/#"] if settings.tasmota else [])


def _is_of_a_device(rest: str) -> bool:
    """Tell whether a zigbee2mqtt topic is a device's, or the bridge's own state; not a command or a catalogue."""
    return rest == "bridge/state" or not (rest.startswith("bridge/") or _is_command(rest))


def _is_command(rest: str) -> bool:
    return any(level in ("set", "get") for level in rest.split("/")[1:])


def _named(entity_id: str, found: re.Match[str]) -> str:
    """Return the entity with the named parts of the topic; what no entity_id may hold becomes `_`."""
    for name, value in found.groupdict().items():
        entity_id = entity_id.replace(f"{{{name}}}", re.sub(r"[.\s/#+]", "_", value))
    return entity_id
