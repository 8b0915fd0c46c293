"""What a home consists of, object by object, and what a sync has changed; pure, keeps nothing.

An object is one row of Home Assistant's registries, or what is as good as one: an area, a device, an automation with
its configuration, a service. Its data is JSON; secrets are redacted and its size has a limit before it is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from ingestor.events.redact import redact

#: Every kind of object, as the command line and the store call them.
KINDS: Final = (
    *("area", "floor", "label", "category", "device", "entity", "config_entry", "discovery", "user", "manifest"),
    *(
        "service",
        "energy",
        "person",
        "zone",
        "automation",
        "script",
        "scene",
        "blueprint",
        "issue",
        "zigbee_device",
        "zwave_network",
    ),
    "zwave_node",
)
#: More than this is not kept of one object: its size stands in its place. A long automation takes some ten kB.
MAX_OBJECT_BYTES: Final = 256 * 1024
#: Of an object that is too large these are kept: what it is called and what it belongs to.
_NAMES: Final = ("id", "entity_id", "name", "alias", "domain", "title")
#: What changes without anything having changed: it is kept, but is no reason to keep the object anew.
#: Routes through a mesh are found anew all day; its neighbours are what tells how it hangs together.
_VOLATILE: Final = frozenset(("modified_at", "lqi", "rssi", "last_seen", "depth", "routes"))
#: Kinds in which it is looked for below the top, too.
_VOLATILE_BELOW: Final = frozenset(("zigbee_device", "zwave_network", "zwave_node"))
_MAX_ID: Final = 255
_JSON: Final = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
_BEYOND: Final = 2**63

#: The objects of one home by kind and id.
Objects = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Observed:
    """What one sync has seen. A kind that is not in `objects` was not asked for, or not answered: it stays as it is."""

    objects: Objects = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """An object as it was from one time until another (Unix, microseconds); until None: as it is now."""

    from_us: int
    until_us: int | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """What the store has of an object as it is now: its row, since when, and the digest of its data."""

    row: int
    from_us: int
    digest: str


@dataclass(slots=True)
class ObjectsDiff:
    """What a sync has changed, by kind: ids that were added, changed and removed."""

    added: dict[str, list[str]] = field(default_factory=dict)
    changed: dict[str, list[str]] = field(default_factory=dict)
    removed: dict[str, list[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def counts(self) -> dict[str, int]:
        """Return how many objects of each kind were added, changed and removed, such as `device_added`."""
        names = ("added", "changed", "removed")
        return {f"{kind}_{name}": len(ids) for name in names for kind, ids in sorted(getattr(self, name).items())}

    def __str__(self) -> str:
        return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self.counts().items()) or "unchanged"


@dataclass(frozen=True, slots=True)
class Change:
    """What the store must do: end these rows, and begin these (kind, id, digest, JSON)."""

    ended: list[int] = field(default_factory=list)
    begun: list[tuple[str, str, str, str]] = field(default_factory=list)
    diff: ObjectsDiff = field(default_factory=ObjectsDiff)


def compare(observed: Observed, known: Mapping[tuple[str, str], Known]) -> Change:
    """Return what has changed between what the store has and what was seen."""
    change = Change()
    seen = set()
    for kind, objects in observed.objects.items():
        for name, data in objects.items():
            object_id = clean_id(name)
            key = (kind, object_id)
            if key in seen:
                continue
            seen.add(key)
            held, digest = known.get(key), digest_of(kind, data)
            if held is None or held.digest != digest:
                _take(change, key, digest, data, held)
    for (kind, object_id), held in known.items():
        if kind in observed.objects and (kind, object_id) not in seen:
            change.ended.append(held.row)
            change.diff.removed.setdefault(kind, []).append(object_id)
    return change


def _take(change: Change, key: tuple[str, str], digest: str, data: Mapping[str, Any], held: Known | None) -> None:
    kind, object_id = key
    if held is not None:
        change.ended.append(held.row)
    (change.diff.changed if held else change.diff.added).setdefault(kind, []).append(object_id)
    change.begun.append((kind, object_id, digest, kept_json(data)))


def digest_of(kind: str, data: Mapping[str, Any]) -> str:
    """Return a hash of the data that is the same while nothing has changed."""
    if kind in _VOLATILE_BELOW:
        steady = _steady(data)
    elif changing := _VOLATILE.intersection(data):
        steady = dict(data)
        for key in changing:
            del steady[key]
    else:
        steady = data
    return hashlib.blake2b(_dumps(steady), digest_size=16).hexdigest()


def _steady(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _steady(one) for key, one in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        # Neighbours come in any order.
        return sorted((_steady(one) for one in value), key=repr)
    return value


def kept_json(data: Mapping[str, Any], most: int = MAX_OBJECT_BYTES) -> str:
    """Return the data as it is kept: without secrets, and not larger than a limit."""
    dumped = redact(_dumps(data))
    if len(dumped) > most:
        names = {key: str(data[key])[:_MAX_ID] for key in _NAMES if data.get(key) is not None}
        dumped = redact(_dumps({**names, "too_large_bytes": len(dumped)}))
    return dumped.decode("utf-8", "replace")


def clean_id(name: str) -> str:
    """Return an id as any database can keep it."""
    if name.isalnum() and name.isascii() and len(name) <= _MAX_ID:
        return name  # as nearly all are
    return name.replace("\0", "").encode("utf-8", "replace").decode()[:_MAX_ID]


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=_JSON)
    except TypeError:
        return orjson.dumps(_plain(value), option=_JSON)


def _plain(value: Any) -> Any:
    """Return as JSON what orjson refuses: numbers beyond 64 bits, lone surrogates, and what is no JSON at all."""
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bool | float | None):
        return value
    if isinstance(value, int):
        return value if abs(value) < _BEYOND else str(value)
    return str(value).encode("utf-8", "replace").decode()
