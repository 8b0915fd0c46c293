"""The steps of enrichment as one visible, ordered list: how each is made, with what, and which run."""

# ruff: noqa: PLC0415 -- what a step needs is imported when it is made: who only checks names must not load it

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingestor import errors
from ingestor.enrichment.place import PlaceStep
from ingestor.enrichment.steps import Step
from ingestor.settings import EnrichmentSettings
from ingestor.settings_weather import WeatherSettings
from ingestor.storage.context_fields import ContextFields

#: What was learned of when an entity is active; told to the workers only where a point has any of it.
USUAL_FIELDS: Final = (
    *("usual_per_hour", "is_peak_hour"),
    *("usual_hour_share", "usual_weekday_share", "usual_month_share"),
)

if TYPE_CHECKING:
    import redis

    from ingestor.enrichment.moments import MomentPart
    from ingestor.enrichment.watching import Watching
    from ingestor.settings import Settings


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


def _neighbours(_means: Means) -> Step:
    from ingestor.enrichment.neighbours import NeighboursStep

    return NeighboursStep()


def _usual(means: Means) -> Step:
    from ingestor.enrichment.usual import UsualStep
    from ingestor.home.usual import MemoryUsual, RedisUsual

    return UsualStep(MemoryUsual() if means.state is None else RedisUsual(means.state))


def _errors(_means: Means) -> Step:
    from ingestor.enrichment.log_errors import ErrorsStep

    return ErrorsStep()


def _observed(means: Means) -> Step:
    from ingestor.enrichment.observed import ObservedStep
    from ingestor.queue.observed_post import RedisObservedPost

    return ObservedStep(None if means.state is None else RedisObservedPost(means.state))


def _counter(means: Means) -> Step:
    from ingestor.enrichment.counter import CounterStep
    from ingestor.quality.meters import MemoryHeldMeters, RedisHeldMeters

    return CounterStep(MemoryHeldMeters() if means.state is None else RedisHeldMeters(means.state))


#: How each step is made; it stands in the settings (`enrichment.steps`) by this name.
STEPS: Final[Mapping[str, Callable[[Means], Step]]] = {
    "place": _place,
    "cause": _cause,
    "room": _room,
    "zone": _zone,
    "since": _since,
    "integration": _integration,
    "neighbours": _neighbours,
    "usual": _usual,
    "errors": _errors,
    "observed": _observed,
    "counter": _counter,
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
    "neighbours": ("floor_rooms",),
    "usual": USUAL_FIELDS,
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
