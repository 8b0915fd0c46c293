"""What was observed of a home's events: who acts on whom, and when an entity is active; values alone."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

#: `controls`: an automation, script or user (by id) changed an entity. `triggers`: an entity set an automation off.
#: `starts`: an automation or script set another one off. `together`: two entities changed in the same context or within
#: a quarter of a second, the first by name first. `lost_with`: target went unavailable within seconds after source.
EdgeKind = Literal["controls", "triggers", "starts", "together", "lost_with"]
HOURS: Final = 24
WEEKDAYS: Final = 7
MONTHS: Final = 12


class ObservedEdge(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How often something was seen to act on something, first and last by the events' own times (Unix, microseconds).

    `source` and `target` are entity_ids; a user as source is `user:` and its id.
    """

    kind: EdgeKind
    source: str
    target: str
    count: int
    first_us: int
    last_us: int


class Activity(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How many events entities had within a quarter of an hour.

    `hour` 0-23, `weekday` 1-7 (Monday is 1) and `month` 1-12 are the home's own; `from_us` is the quarter's begin.
    """

    from_us: int
    hour: int
    weekday: int
    month: int
    events: dict[str, int]


class ObservedPage(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one worker observed in a home since its last page; `number` counts its pages, so that each counts once.

    `started` names the automations and scripts that have run.
    """

    worker: str
    number: int
    home: str
    edges: list[ObservedEdge]
    activity: list[Activity]
    started: list[str] = []


class EntityPattern(msgspec.Struct, frozen=True, gc=False):
    """When an entity is active: events by local hour, weekday (Monday first) and month, since `first_us`.

    `recent_per_hour` is what is usual lately: the mean of events an hour, in which an hour of a week ago counts for a
    third of one of today.
    """

    entity_id: str
    hours: list[int]
    weekdays: list[int]
    months: list[int]
    events: int
    first_us: int
    last_us: int
    recent_per_hour: float

    @property
    def peak_hours(self) -> list[int]:
        """The three hours with most events, busiest first; hours without any are none."""
        busy = [hour for hour in range(HOURS) if self.hours[hour]]
        return sorted(busy, key=lambda hour: (-self.hours[hour], hour))[:3]
