"""Which attributes say something: learned by looking at all states now and then; asks nobody, keeps nothing.

Home Assistant leaves some out of its own recorder (lists of effects, pictures). It does not tell which; what they have
in common is seen: they never change, or they are long.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ingestor.events import decoding
from ingestor.home.model import domain_of

#: Attributes of entities that are followed in a home; further ones are not learned.
MAX_FOLLOWED: Final = 100_000
#: Before so many looks nothing is said of how long an attribute is; a week of looks shows whether it changes.
ENOUGH_LOOKS: Final = 20
LOOKS_OF_A_WEEK: Final = 1008
#: Longer ones are long (bytes of JSON), as longer states are to Home Assistant.
LONG_BYTES: Final = 255
#: What the product itself reads of a state: never left out.
NEEDED: Final = frozenset(
    {"unit_of_measurement", "device_class", "state_class", "last_reset", "friendly_name", "restored", "entity_id"}
)
#: From their attributes enrichment knows the weather and the whereabouts.
NEEDED_DOMAINS: Final = frozenset({"weather", "device_tracker", "person", "zone", "sun"})

Verdict = Literal["constant", "long", "lively", "not known yet"]


class Followed(msgspec.Struct, array_like=True):
    """One attribute of one entity: a hash of what it was, how often it was looked at and was another, its bytes."""

    digest: int
    looks: int = 1
    changes: int = 0
    bytes: int = 0


class Learned(msgspec.Struct):
    """What is known of the attributes of a home: by entity and name. `left_out`: more than could be followed."""

    looks: int = 0
    left_out: int = 0
    entities: dict[str, dict[str, Followed]] = msgspec.field(default_factory=dict)


class Attribute(NamedTuple):
    """An attribute of a domain, over all its entities. `bytes` is the mean of one."""

    domain: str
    name: str
    entities: int
    looks: int
    changes: int
    bytes: int
    verdict: Verdict


def look_at(learned: Learned, states: Iterable[Mapping[str, Any]]) -> None:
    """Take in the states of a home as they are now; entities that are gone are forgotten."""
    before, learned.entities = learned.entities, {}
    learned.looks += 1
    learned.left_out = 0
    followed = 0
    for state in states:
        entity_id, attributes = state.get("entity_id"), state.get("attributes")
        if not isinstance(entity_id, str) or not isinstance(attributes, Mapping):
            continue
        known = before.get(entity_id, {})
        mine: dict[str, Followed] = {}
        for name, value in attributes.items():
            if followed >= MAX_FOLLOWED:
                learned.left_out += 1
                continue
            followed += 1
            mine[str(name)] = _seen(known.get(str(name)), value)
        learned.entities[entity_id] = mine


def _seen(known: Followed | None, value: Any) -> Followed:
    text = decoding.dumps(value)
    digest = zlib.crc32(text)
    if known is None:
        return Followed(digest, bytes=len(text))
    return Followed(digest, known.looks + 1, known.changes + (digest != known.digest), len(text))


def attributes_of(learned: Learned) -> list[Attribute]:
    """Return what was learned of each attribute of each domain, the ones with the most bytes first."""
    by_name: dict[tuple[str, str], list[Followed]] = {}
    for entity_id, attributes in learned.entities.items():
        for name, followed in attributes.items():
            by_name.setdefault((domain_of(entity_id), name), []).append(followed)
    found = [_attribute(domain, name, followed) for (domain, name), followed in by_name.items()]
    return sorted(found, key=lambda one: (-one.bytes * one.entities, one.domain, one.name))


def _attribute(domain: str, name: str, followed: list[Followed]) -> Attribute:
    looks = max(one.looks for one in followed)
    changes = sum(one.changes for one in followed)
    mean = sum(one.bytes for one in followed) // len(followed)
    return Attribute(domain, name, len(followed), looks, changes, mean, _verdict(looks, changes, mean))


def _verdict(looks: int, changes: int, mean_bytes: int) -> Verdict:
    if looks >= ENOUGH_LOOKS and mean_bytes > LONG_BYTES:
        return "long"
    if looks >= ENOUGH_LOOKS and changes:
        return "lively"
    return "constant" if looks >= LOOKS_OF_A_WEEK else "not known yet"


def to_leave_out(attributes: Iterable[Attribute]) -> dict[str, frozenset[str]]:
    """Return by domain which attributes say nothing, of those that nothing of ours needs."""
    found: dict[str, set[str]] = {}
    for one in attributes:
        if one.verdict in ("constant", "long") and one.name not in NEEDED and one.domain not in NEEDED_DOMAINS:
            found.setdefault(one.domain, set()).add(one.name)
    return {domain: frozenset(names) for domain, names in found.items()}
