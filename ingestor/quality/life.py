"""Signs of life that are no events: what `get_states` says beside the states, kept an hour long each; judges nothing.

Home Assistant from 2024.8 on says of each state when it was last reported, though nothing changed. Older ones do not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
import redis

from ingestor import errors
from ingestor.events.point import Point
from ingestor.events.values import time_us
from ingestor.quality.hours import HOUR_US
from ingestor.quality.stored_hours import Beside
from ingestor.quality.tally import NOT_THERE
from ingestor.queue.state import state_errors
from ingestor.storage.schema import tag_text

#: A point for each look at each entity, where that is asked for.
HEARTBEAT: Final = "ha_heartbeat"
_KEPT_S: Final = 3 * 86_400
_MOST: Final = 20_000
_LONGEST_CLASS: Final = 32
_S: Final = 1e6


class Sign(msgspec.Struct, frozen=True):
    """What one look said of an entity; 0: it did not say. Times are Unix µs."""

    entity_id: str
    reported_us: int
    updated_us: int
    attributes: int
    there: bool
    state_class: str = ""


def signs_of(states: Iterable[Mapping[str, Any]]) -> Iterator[Sign]:
    """Yield what states say of their entities."""
    for state in states:
        names = "\0".join(sorted(state.get("attributes") or ()))
        digest = hashlib.blake2b(names.encode("utf-8", "replace"), digest_size=6).digest()
        yield Sign(
            str(state.get("entity_id") or ""),
            _time_us(state.get("last_reported")),
            _time_us(state.get("last_updated")),
            int.from_bytes(digest) or 1,
            state.get("state") not in NOT_THERE,
            _word((state.get("attributes") or {}).get("state_class")),
        )


def heartbeats(home: str, signs: Iterable[Sign], now_us: int) -> Iterator[Point]:
    """Yield a point for each entity: whether it is there, and how long ago it was last reported and last changed."""
    for sign in signs:
        fields: dict[str, float | str | bool | int] = {"available": sign.there}
        if sign.reported_us:
            fields["reported_age_s"] = (now_us - sign.reported_us) / _S
        if sign.updated_us:
            fields["updated_age_s"] = (now_us - sign.updated_us) / _S
        tags = (("entity_id", tag_text(sign.entity_id)), ("home", tag_text(home)))
        yield Point(HEARTBEAT, tags, fields, now_us * 1000)


class Life:
    """Signs of life in the state server, by hour; three days long."""

    def __init__(self, state: redis.Redis[bytes]) -> None:
        self._state = state

    def put(self, home: str, signs: Iterable[Sign], now_us: int) -> None:
        """Keep the signs of a look. Raises StateUnavailable."""
        hour_us = now_us // HOUR_US * HOUR_US
        told: dict[str | bytes, bytes | float | int | str] = {
            sign.entity_id: f"{sign.reported_us if sign.there and sign.reported_us >= hour_us else 0} {sign.attributes}"
            f" {sign.state_class}"
            for sign in list(signs)[:_MOST]
        }
        if told:
            with state_errors():
                pipe = self._state.pipeline()
                pipe.hset(_key(home, hour_us), mapping=told)
                pipe.expire(_key(home, hour_us), _KEPT_S)
                pipe.execute()

    def of_hour(self, home: str, hour_us: int) -> Beside:
        """Return what was seen in an hour; nothing where nobody looked. Raises StateUnavailable."""
        with state_errors():
            told = self._state.hgetall(_key(home, hour_us))
        reported: dict[str, int] = {}
        attributes: dict[str, int] = {}
        classes: dict[str, str] = {}
        for name, text in told.items():
            entity_id = name.decode("utf-8", "replace")
            reported_us, digest, *state_class = text.split(b" ")
            attributes[entity_id] = int(digest)
            if int(reported_us):
                reported[entity_id] = int(reported_us)
            if state_class:
                classes[entity_id] = state_class[0].decode("utf-8", "replace")
        return Beside(reported, attributes, state_classes=classes)


def _key(home: str, hour_us: int) -> str:
    return f"ha_ingestor:quality:life:{home}:{hour_us // HOUR_US}"


def _word(text: Any) -> str:
    return text if isinstance(text, str) and text.isidentifier() and len(text) <= _LONGEST_CLASS else ""


def _time_us(text: Any) -> int:
    try:
        return time_us(str(text)) if text else 0
    except errors.InvalidEvent:
        return 0
