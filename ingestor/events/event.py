"""The Event: what happened in a home, the same for every source; and the batch that carries events."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ingestor.events.late import Unsettled

EventKind = Literal["state", "event"]
Outcome = Literal["written", "duplicate", "rejected", "filtered"]
#: What enrichment adds to a point, by the name of its field.
Extra = str | float | int | bool


class Event(msgspec.Struct, array_like=True, gc=False):
    """One event, decoded and checked.

    `kind` "state" is a change of an entity's state (also its removal: `state` is None); all else is "event".
    `subject` is what the series is made from: the entity_id of the day for a state; for another event
    `<event_type>:<entity_id, domain.service or '-'>`. `time_us` is the time of the point (Unix, microseconds,
    UTC): HA's `last_updated` or `time_fired`; the time of receipt where the source gives none (`untimed`).
    `previous_changed_us` is when the state before had begun, where this one is another. `attributes` and `data` are
    carried only where the settings store them (those of weather, trackers and persons always). `identity` is a 32-bit
    hash of what makes this event differ from another of the same series and microsecond.
    `state_class` is HA's ("total" and "total_increasing" are counters), `last_reset_us` when such a counter began anew.
    `place` and `moment` are indices of its Place and its Moment in the batch, -1 before `enrich`. `extras` are the
    fields that enrichment adds to this event alone. `notes` say what a step could not do.
    """

    slot: int
    kind: EventKind
    event_type: str
    subject: str
    entity_id: str | None
    time_us: int
    received_ns: int
    source: str
    identity: int
    state: str | None = None
    value: float | None = None
    available: bool = True
    previous_state: str | None = None
    unit: str | None = None
    device_class: str | None = None
    attributes: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    context_id: str | None = None
    parent_id: str | None = None
    user_id: str | None = None
    origin: str | None = None
    time_fired_us: int | None = None
    last_changed_us: int | None = None
    untimed: bool = False
    uncertain: bool = False
    place: int = -1
    notes: list[str] = msgspec.field(default_factory=list)
    moment: int = -1
    extras: dict[str, Extra] | None = None
    previous_changed_us: int | None = None
    state_class: str | None = None
    last_reset_us: int | None = None


class Place(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Where an event belongs: its lasting series and the names in force at its time; "" is unknown."""

    series: str
    domain: str
    area: str = ""
    floor: str = ""
    device: str = ""
    device_class: str = ""
    integration: str = ""
    labels: tuple[str, ...] = ()


class Moment(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What holds for a whole home from one time until another (Unix, microseconds): the fields of all its points.

    Local time, sun, weather, presence: found once and shared by every event of the batch that falls into it.
    """

    from_us: int
    until_us: int
    fields: dict[str, Extra]


class Settled(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Slots of a batch that need no further step, and why."""

    outcome: Outcome
    slots: list[int]


class EventBatch(msgspec.Struct, array_like=True):
    """Events on their way from `validate` to `write`: a whole raw batch or a part of one.

    `size` is the number of slots in the whole raw batch. `settled` names the slots that ended on the way;
    `write` reports them together with its own. `first_tried_ns` is set on a part that waits for the map.
    `unsettled` are events whose cause may become known yet: few, mostly none.
    """

    batch_id: str
    home: str
    source: str
    journal: str
    opened_ns: int
    size: int
    events: list[Event]
    settled: list[Settled] = msgspec.field(default_factory=list)
    places: list[Place] = msgspec.field(default_factory=list)
    first_tried_ns: int = 0
    moments: list[Moment] = msgspec.field(default_factory=list)
    unsettled: list[Unsettled] = msgspec.field(default_factory=list)
