"""Which of Home Assistant's entities an MQTT discovery stands for: left by the registry sync, read by listeners."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import redis

from ingestor.queue.state import state_errors

_READ_EVERY_S: Final = 10.0


def publish_mqtt_entities(state: redis.Redis[bytes], home: str, entities: Iterable[Mapping[str, Any]]) -> None:
    """Leave the entities of HA's mqtt integration, by component and unique id. Raises StateUnavailable."""
    found: dict[str | bytes, bytes | float | int | str] = {
        _field(str(entity["entity_id"]).partition(".")[0], str(entity["unique_id"])): str(entity["entity_id"])
        for entity in entities
        if entity.get("platform") == "mqtt" and entity.get("unique_id") and entity.get("entity_id")
    }
    with state_errors():
        pipe = state.pipeline(transaction=True)
        pipe.delete(_key(home))
        if found:
            pipe.hset(_key(home), mapping=found)
        pipe.execute()


class MqttEntities:
    """A local copy for one listener. `refresh` belongs to a thread that may wait, `find` to the one that reads."""

    def __init__(self, state: redis.Redis[bytes], home: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._home = home
        self._clock = clock
        self._known: dict[str, str] = {}
        self._read_at = float("-inf")

    def refresh(self) -> None:
        """Read the entities anew, every ten seconds. Raises StateUnavailable."""
        now = self._clock()
        if now - self._read_at < _READ_EVERY_S:
            return
        with state_errors():
            found = self._state.hgetall(_key(self._home))
        self._known = {
            field.decode("utf-8", "replace"): name.decode("utf-8", "replace") for field, name in found.items()
        }
        self._read_at = now

    def find(self, component: str, unique_id: str) -> str | None:
        """Return HA's entity for a discovered one; None where HA has none, or has not been asked yet."""
        return self._known.get(_field(component, unique_id))


def _key(home: str) -> str:
    return f"ha_ingestor:map:{home}:mqtt"


def _field(component: str, unique_id: str) -> str:
    return f"{component}:{unique_id}"
