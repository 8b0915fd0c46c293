"""How Home Assistant writes times, contexts, states and events as JSON; sends nothing."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import orjson

from ingestor.demo.clock import SECOND_US

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: The first version whose states say when they were last reported.
_REPORTED_SINCE: Final = (2024, 5)


def is_modern(ha_version: str) -> bool:
    """Tell whether states of this version carry `last_reported`, and registry entries floors, labels and dates."""
    year, month = ha_version.split(".")[:2]
    return (int(year), int(month)) >= _REPORTED_SINCE


def iso(time_us: int) -> str:
    """Return a time as Home Assistant writes it: UTC, microseconds unless they are 0."""
    second, micros = divmod(time_us, SECOND_US)
    return f"{_second(second)}.{micros:06d}+00:00" if micros else f"{_second(second)}+00:00"


@lru_cache(maxsize=256)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def ulid(time_us: int, chance: random.Random) -> str:
    """Return a ULID: ten signs of time in milliseconds, sixteen of chance."""
    return _base32(time_us // 1000, 10) + _base32(chance.getrandbits(80), 16)


def ulid_time(time_us: int) -> str:
    """Return the ten signs of a ULID that say when."""
    return _base32(time_us // 1000, 10)


def _base32(number: int, signs: int) -> str:
    return "".join([_CROCKFORD[(number >> 5 * place) & 31] for place in range(signs - 1, -1, -1)])


@dataclass(frozen=True, slots=True)
class Context:
    """Why something happened: its own id, the id of what caused it, who it was."""

    id: str
    parent_id: str | None = None
    user_id: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """Return the context as Home Assistant shows it."""
        return {"id": self.id, "parent_id": self.parent_id, "user_id": self.user_id}


@dataclass(slots=True)
class State:
    """The state of an entity at a time; replaced as a whole, but `reported_us`, which moves."""

    entity_id: str
    state: str
    attributes: dict[str, Any]
    changed_us: int
    updated_us: int
    reported_us: int
    context: Context
    modern: bool = True
    _json: bytes | None = field(default=None, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the state as Home Assistant shows it, keys in its order."""
        reported = {"last_reported": iso(self.reported_us)} if self.modern else {}
        return {
            "entity_id": self.entity_id,
            "state": self.state,
            "attributes": self.attributes,
            "last_changed": iso(self.changed_us),
            **reported,
            "last_updated": iso(self.updated_us),
            "context": self.context.as_dict(),
        }

    def as_json(self) -> bytes:
        """Return the state as JSON, made once: it is in two events, as the new one and as the old one."""
        if self._json is None:
            self._json = orjson.dumps(self.as_dict())
        return self._json

    def report(self, time_us: int) -> None:
        """Note that the same value was written again."""
        self.reported_us = time_us
        self._json = None


@dataclass(slots=True)
class Event:
    """What happened, on its way to all who listen. A state change has its states instead of data."""

    event_type: str
    fired_us: int
    context: Context
    data: dict[str, Any]
    origin: str = "LOCAL"
    entity_id: str = ""
    old: State | None = None
    new: State | None = None
    _body: bytes | None = field(default=None, repr=False)

    def body(self) -> bytes:
        """Return the message without the subscription's id and the last brace, made once for all clients."""
        if self._body is None:
            name, origin = orjson.dumps(self.event_type), orjson.dumps(self.origin)
            context = orjson.dumps(self.context.as_dict())
            self._body = (
                b'{"type":"event","event":{"event_type":%b,"data":%b,"origin":%b,"time_fired":"%b","context":%b}'
                % (
                    name,
                    self.data_json(),
                    origin,
                    iso(self.fired_us).encode(),
                    context,
                )
            )
        return self._body

    def data_json(self) -> bytes:
        """Return the event's data as JSON."""
        if self.event_type != "state_changed" or self.data:
            return orjson.dumps(self.data, option=orjson.OPT_NON_STR_KEYS)
        old = self.old.as_json() if self.old else b"null"
        new = self.new.as_json() if self.new else b"null"
        return b'{"entity_id":"%b","old_state":%b,"new_state":%b}' % (self.entity_id.encode(), old, new)

    def message(self, subscription: int) -> bytes:
        """Return the message for one subscription; the id comes last, as in Home Assistant."""
        return b'%b,"id":%d}' % (self.body(), subscription)
