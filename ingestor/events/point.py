"""The Point: what a store keeps; a measurement, a set of tags, fields and a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

FieldValue = float | str | bool | int
#: (key, value) pairs sorted by key; the same object for every point of a series, so that it can be a cache key.
Tags = tuple[tuple[str, str], ...]


class SharedFields:
    """Fields that many points have in common: the same object in each, so that a store renders them once.

    `rendered` is for the store's adapter: what it made of the fields, by its own key. Must not be changed else.
    """

    __slots__ = ("fields", "rendered")

    def __init__(self, fields: Mapping[str, FieldValue]) -> None:
        self.fields = fields
        self.rendered: dict[str, str] = {}


@dataclass(slots=True)
class Point:
    """One row for a store. `time_ns` is Unix time in nanoseconds. A field that is None is left out by the builder.

    `slot` is the event's slot in its batch: how the store's refusal finds its event again. `shared` has further
    fields, none of which is among `fields`.
    """

    measurement: str
    tags: Tags
    fields: dict[str, FieldValue]
    time_ns: int
    slot: int = -1
    shared: SharedFields | None = None

    def all_fields(self) -> dict[str, FieldValue]:
        """Return all fields as one new dict: its own and the shared ones."""
        return {**self.shared.fields, **self.fields} if self.shared else dict(self.fields)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event read back from a store in our own schema; a field that the store has not is None."""

    time_ns: int
    kind: str
    home: str
    series: str
    domain: str
    tags: dict[str, str] = field(default_factory=dict)
    fields: dict[str, FieldValue] = field(default_factory=dict)
