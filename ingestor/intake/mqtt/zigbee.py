"""Which zigbee2mqtt device goes by which friendly name; reads the bridge's list, subscribes to nothing.

zigbee2mqtt can put the device into each payload itself (its option `include_device_information`); where it does not,
we do, in the same form: so a reading keeps the address of its device when somebody gives the device another name.
"""

from __future__ import annotations

from typing import Final

import orjson
from pydantic import ValidationError

from ingestor import errors
from ingestor.events import decoding
from ingestor.events.mqtt_models import ZIGBEE2MQTT_DEVICES

_MARK: Final = b'"device"'


class ZigbeeDevices:
    """The devices that the bridge last named."""

    def __init__(self, base: str) -> None:
        self._skip = len(base) + 1
        self._by_name: dict[str, bytes] = {}

    def learn(self, payload: bytes) -> None:
        """Take in the bridge's list; a payload that is none changes nothing."""
        try:
            devices = ZIGBEE2MQTT_DEVICES.validate_python(decoding.loads(payload))
        except (errors.UndecodableFrame, ValidationError):
            return
        self._by_name = {
            device.friendly_name: orjson.dumps(
                {"device": {"friendlyName": device.friendly_name, "ieeeAddr": device.ieee_address}}
            )[1:-1]
            for device in devices
        }

    def with_device(self, topic: str, payload: bytes) -> bytes:
        """Return a payload with its device, if it is an object that does not name it, of a device that is known."""
        device = self._by_name.get(topic[self._skip :])
        body = payload.strip()
        if device is None or not (body.startswith(b"{") and body.endswith(b"}")) or _MARK in body:
            return payload
        rest = body[1:].lstrip()
        return b"{" + device + (b"}" if rest == b"}" else b"," + rest)

    def __len__(self) -> int:
        return len(self._by_name)
