"""The steps that give an event its context, as one visible, ordered list; a step that fails becomes a note."""

# ruff: noqa: PLC0415 -- what a step needs is imported when it is made: who only checks names must not load it

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import msgspec

from ingestor import errors
from ingestor.events.event import Event, EventKind, Moment, Place
from ingestor.home.facts import HomeFacts
from ingestor.home.model import bare_place, domain_of
from ingestor.home.port import HomeMap
from ingestor.settings import EnrichmentSettings
from ingestor.settings_weather import WeatherSettings
from ingestor.storage.context_fields import ContextFields

if TYPE_CHECKING:
    import redis

    from ingestor.enrichment.moments import MomentPart
    from ingestor.enrichment.watching import Watching
    from ingestor.settings import Settings


@dataclass(slots=True)
class Surroundings:
    """What the steps may ask for while a batch is enriched, and the places that they have found.

    With `give_up` an unknown entity has waited long enough: it is decided what it is. Else it must wait.
    `waited_s` is how long these events have waited, for whatever step held them;
    `batch_id` is "" where nobody can send them again.
    """

    home: str
    home_map: HomeMap
    give_up: bool = False
    waited_s: float = 0.0
    batch_id: str = ""
    facts: HomeFacts = field(default_factory=lambda: HomeFacts(""))
    places: list[Place] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    #: By object first, then by value: a place of the map is one object, and hashing it costs more than finding it.
    _by_object: dict[int, int] = field(default_factory=dict)
    _by_value: dict[Place, int] = field(default_factory=dict)

    def index_of(self, place: Place) -> int:
        """Return the index of a place in the batch."""
        index = self._by_object.get(id(place))
        if index is None:
            index = self._by_value.setdefault(place, len(self.places))
            if index == len(self.places):
                # Only of an object that is kept may the id be remembered: another one may get the id of a lost one.
                self.places.append(place)
                self._by_object[id(place)] = index
        return index


class Step(Protocol):
    """One kind of context. It writes to the event; it returns False where the event must wait."""

    @property
    def name(self) -> str:
        """The name under which the step appears in notes and metrics."""
        ...

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Add what this step knows. May raise anything: the event gets a note instead."""
        ...


@runtime_checkable
class Beginning(Protocol):
    """A step that looks at a whole batch first. At most one round trip to the state server."""

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        """Called once, before any event is enriched. May raise anything: it is logged, and `apply` is called."""
        ...


@runtime_checkable
class Finishing(Protocol):
    """A step that has something to do when all events are through. At most one round trip to the state server."""

    def finish(self, events: Sequence[Event], around: Surroundings) -> None:
        """Called once, with the events that go on (not those that are held). May raise anything: it is logged."""
        ...


@runtime_checkable
class Choosy(Protocol):
    """A step that is for some kinds of events alone: for the others `apply` need not be called."""

    @property
    def kinds(self) -> frozenset[EventKind]:
        """Which kinds; none where all is done for whole batches."""
        ...


def steps_for(kind: EventKind, steps: Sequence[Step]) -> list[Step]:
    """Return the steps that have something to do with events of a kind."""
    return [step for step in steps if not isinstance(step, Choosy) or kind in step.kinds]


@dataclass(frozen=True)
class Means:
    """What steps are made with. Without a state server (tests, trying things out) a step knows what it sees itself."""

    settings: Settings | None = None
    state: redis.Redis[bytes] | None = None

    @property
    def chosen(self) -> EnrichmentSettings:
        """The settings of enrichment."""
        return self.settings.enrichment if self.settings else EnrichmentSettings()

    @functools.cached_property
    def watching(self) -> Watching:
        """What is known of the watched entities: one copy for all steps."""
        from ingestor.enrichment.watching import Watching
        from ingestor.home.watched import MemoryWatched
        from ingestor.home.watched_redis import RedisWatched

        return Watching(MemoryWatched() if self.state is None else RedisWatched(self.state))


class PlaceStep:
    """Series, area, floor, device: from the map in force at the event's own time (rules 1 and 2)."""

    name: Final = "place"

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Find the event's place; False while its entity is not known."""
        place = _of_state(event, around) if event.kind == "state" else _of_event(event, around)
        if place is None:
            return False
        event.place = around.index_of(place)
        return True


def _place(_means: Means) -> Step:
    return PlaceStep()


def _cause(means: Means) -> Step:
    from ingestor.enrichment.cause import CauseStep
    from ingestor.enrichment.cause_shared import RedisContexts

    wait_s = means.chosen.cause_wait_s
    # Points have no cause that is none, unless they have everything.
    says_plain = means.settings is None or "*" in means.settings.storage.context_fields
    shared = None if means.state is None else RedisContexts(means.state)
    return CauseStep(shared, wait_s=wait_s, says_plain=says_plain)


def _room(means: Means) -> Step:
    from ingestor.enrichment.rooms import RoomStep

    return RoomStep(means.watching)


def _zone(means: Means) -> Step:
    from ingestor.enrichment.zones import ZoneStep

    return ZoneStep(means.chosen.geo_cell_length)


def _since(means: Means) -> Step:
    from ingestor.enrichment.since import SinceStep
    from ingestor.home.sequence import MemorySequences, RedisSequences

    return SinceStep(MemorySequences() if means.state is None else RedisSequences(means.state))


def _integration(means: Means) -> Step:
    from ingestor.enrichment.integration import IntegrationStep

    return IntegrationStep(means.watching)


def _errors(_means: Means) -> Step:
    from ingestor.enrichment.log_errors import ErrorsStep

    return ErrorsStep()


def _observed(means: Means) -> Step:
    from ingestor.enrichment.observed import ObservedStep
    from ingestor.queue.observed_post import RedisObservedPost

    return ObservedStep(None if means.state is None else RedisObservedPost(means.state))


#: How each step is made; it stands in the settings (`enrichment.steps`) by this name.
STEPS: Final[Mapping[str, Callable[[Means], Step]]] = {
    "place": _place,
    "cause": _cause,
    "room": _room,
    "zone": _zone,
    "since": _since,
    "integration": _integration,
    "errors": _errors,
    "observed": _observed,
}


def _time(means: Means) -> MomentPart:
    from ingestor.enrichment.daytime import TimePart

    return TimePart(means.chosen.holidays_country, means.chosen.holidays_subdivision)


def _weather(means: Means) -> MomentPart:
    from ingestor.enrichment.weather import WeatherPart
    from ingestor.weather.desk import read_days
    from ingestor.weather.opening import series_of

    chosen = means.settings.weather if means.settings else WeatherSettings()
    return WeatherPart(
        means.watching,
        functools.partial(series_of, chosen),
        max_age_us=int(chosen.max_age_h * 3_600_000_000),
        read_days=functools.partial(read_days, means.state) if means.state is not None and chosen.historical else None,
    )


def _presence(means: Means) -> MomentPart:
    from ingestor.enrichment.presence import PresencePart

    return PresencePart(means.watching)


#: The parts of the step that finds an event's moment, in the same way.
PARTS: Final[Mapping[str, Callable[[Means], MomentPart]]] = {"time": _time, "weather": _weather, "presence": _presence}


def _moment(names: Sequence[str], means: Means) -> Step:
    from ingestor.enrichment.moments import MomentStep

    return MomentStep([PARTS[name](means) for name in names if name in PARTS])


def step_names(chosen: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the steps' names in their order; `place` comes first where it is not named. Raises InvalidSettings."""
    names = tuple(dict.fromkeys(chosen if "place" in chosen else ("place", *chosen)))
    known = {**STEPS, **PARTS}
    if unknown := sorted(set(names) - set(known)):
        raise errors.InvalidSettings(f"enrichment.steps: {unknown[0]!r} is none of {', '.join(known)}")
    return names


def enrichment_steps(chosen: Sequence[str] = (), means: Means | None = None) -> tuple[Step, ...]:
    """Return the steps in their order. Raises InvalidSettings."""
    means = means or Means()
    names = [name for name in step_names(chosen) if _is_wanted(name, means)]
    made: list[Step] = []
    for name in names:
        if name in STEPS:
            made.append(STEPS[name](means))
        elif name == next(found for found in names if found in PARTS):
            # All parts of the moment are one step, which stands where the first of them is named.
            made.append(_moment(names, means))
    return tuple(made)


#: Steps that do nothing but add these fields to states: where no point has them, they need not run.
_ONLY_ADD: Final[Mapping[str, tuple[str, ...]]] = {
    "room": ("room_temperature", "room_humidity"),
    "since": ("seconds_since_change", "sequence"),
    "integration": (
        *("integration_version", "integration_quality"),
        *("device_link_quality", "device_signal", "device_battery"),
    ),
}


def _is_wanted(name: str, means: Means) -> bool:
    if means.settings is None or name not in _ONLY_ADD:
        return True
    return ContextFields(means.settings.storage.context_fields).wants_any(*_ONLY_ADD[name])


def place_without_context(event: Event) -> Place:
    """Return the place of an event of which no context is known."""
    if event.kind == "state":
        return bare_place(event.entity_id or event.subject)
    return Place(series=event.subject, domain=_domain_of_event(event.subject))


def _of_state(event: Event, around: Surroundings) -> Place | None:
    entity_id = event.entity_id or event.subject
    if domain_of(entity_id) == "mqtt":
        # A name of our own for what only MQTT knows: Home Assistant has no such domain, so there is none to wait for.
        return bare_place(entity_id)
    place = around.home_map.place_of(around.home, entity_id, event.time_us)
    if place is None and around.give_up:
        return around.home_map.decide_unknown(around.home, entity_id, event.time_us)
    return place


def _of_event(event: Event, around: Surroundings) -> Place:
    """Return the place of an event that is no state: a series of its own, with the context of its entity.

    It does not wait for a sync, so it has context only from when the entity was known on (`waits=False`): sent
    again later, it must not get more.
    """
    place = place_without_context(event)
    if event.entity_id is None:
        return place
    entity = around.home_map.place_of(around.home, event.entity_id, event.time_us, waits=False)
    if entity is None:
        return place
    return msgspec.structs.replace(entity, series=place.series, domain=place.domain)


def _domain_of_event(subject: str) -> str:
    """Return the domain of what the event is about; of an event about nothing its type."""
    event_type, _, about = subject.partition(":")
    return domain_of(about) if "." in about else event_type
