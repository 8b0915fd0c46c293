"""Our own sensors for Home Assistant: their configs and figures, as MQTT discovery has them. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Final

import orjson

from ingestor.settings_mqtt_out import DISCOVERY_NODE, MqttOutSettings

#: A figure that was not renewed for so many periods is not known any more.
_PERIODS: Final = 3
_NAME: Final = "HA-Ingestor"


@dataclass(frozen=True, slots=True)
class Figures:
    """How a home's events do; None: not known just now.

    `ingest_rate`: events written a second. `lag_s`: from receipt to the store's yes, of 95 in 100 batches, over the
    whole installation, as is `queue_depth`: batches that wait. `quality_score`: 0 to 100. `listening`: it is heard.
    """

    ingest_rate: float | None = None
    lag_s: float | None = None
    quality_score: float | None = None
    queue_depth: int | None = None
    listening: bool | None = None

    def body(self) -> bytes:
        """Return them as JSON."""
        told = asdict(self) | {"listening": {None: None, True: "ON", False: "OFF"}[self.listening]}
        return orjson.dumps(told)


_MEASURED: Final[Mapping[str, Any]] = {"state_class": "measurement"}
#: By component and figure: what Home Assistant is told of it.
_SENSORS: Final[Mapping[tuple[str, str], Mapping[str, Any]]] = {
    ("sensor", "ingest_rate"): {
        **_MEASURED,
        "name": "Ingest rate",
        "unit_of_measurement": "events/s",
        "icon": "mdi:database-arrow-down",
    },
    ("sensor", "lag_s"): {
        **_MEASURED,
        "name": "Lag",
        "unit_of_measurement": "s",
        "device_class": "duration",
        "suggested_display_precision": 3,
    },
    ("sensor", "quality_score"): {**_MEASURED, "name": "Quality score", "icon": "mdi:check-decagram"},
    ("sensor", "queue_depth"): {
        **_MEASURED,
        "name": "Queue depth",
        "unit_of_measurement": "batches",
        "icon": "mdi:tray-full",
    },
    ("binary_sensor", "listening"): {"name": "Listening", "device_class": "connectivity"},
}


def status_topic(settings: MqttOutSettings) -> str:
    """Return where we say that we are there; the broker says so when we are not."""
    return f"{settings.base}/out/status"


def sensors_topic(settings: MqttOutSettings, home: str) -> str:
    """Return where a home's figures are."""
    return f"{settings.base}/{home}/sensors"


def birth_topic(settings: MqttOutSettings) -> str:
    """Return where Home Assistant says that it has started."""
    return f"{settings.discovery_prefix}/status"


def configs(settings: MqttOutSettings, home: str) -> dict[str, bytes]:
    """Return the discovery configs of a home's sensors, by topic; empty ones where nothing is to be announced."""
    found = {}
    for (component, figure), told in _SENSORS.items():
        topic = f"{settings.discovery_prefix}/{component}/{DISCOVERY_NODE}/{home}_{figure}/config"
        found[topic] = orjson.dumps(_config(settings, home, figure, told)) if settings.discovery else b""
    return found


def _config(settings: MqttOutSettings, home: str, figure: str, told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **told,
        "unique_id": f"{DISCOVERY_NODE}_{home}_{figure}",
        "state_topic": sensors_topic(settings, home),
        # What is not known becomes the word None, by which Home Assistant makes it `unknown`.
        "value_template": f"{{{{ value_json.{figure} }}}}",
        "availability_topic": status_topic(settings),
        "expire_after": round(_PERIODS * settings.sensors_every_s),
        "entity_category": "diagnostic",
        "device": {
            "identifiers": [f"{DISCOVERY_NODE}_{home}"],
            "name": f"{_NAME} {home}",
            "manufacturer": _NAME,
            "sw_version": version("ha-ingestor"),
        },
        "origin": {"name": _NAME, "sw_version": version("ha-ingestor")},
    }
