"""The step `integration`: version and quality of what made an event's entity, and how its device is connected.

Link quality, signal and battery are those that the device's own sensors said last at the event's time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ingestor.enrichment.steps import Surroundings
from ingestor.enrichment.watching import Watching
from ingestor.events.event import Event, Extra, Place
from ingestor.home.facts import HomeFacts
from ingestor.home.watched import Series

#: Sources of the past: which version there was then, nobody knows.
_PAST: Final = frozenset({"history", "statistics"})
_KEPT_S: Final = 1.0
_MAX_ABOUT: Final = 20_000


class _About(NamedTuple):
    """What is the same for all events of one entity in one place, for a while."""

    place: Place | None
    fields: dict[str, Extra]
    measured: tuple[tuple[str, Series], ...]


class IntegrationStep:
    """Adds `integration_version`, `integration_quality`, and of the device link quality, signal and battery."""

    name: Final = "integration"

    def __init__(self, watching: Watching, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._watching = watching
        self._clock = clock
        self._facts: HomeFacts | None = None
        self._integrations: dict[str, dict[str, Extra]] = {}
        #: By entity, of one home's facts; begun anew each second, for a sensor may speak for the first time.
        self._about: dict[str, _About] = {}
        self._since = 0.0

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        """Take in what the devices' sensors say. Raises StateUnavailable."""
        now = self._clock()
        if around.facts is not self._facts or now - self._since >= _KEPT_S or len(self._about) > _MAX_ABOUT:
            self._about.clear()
            self._since = now
        if around.facts is not self._facts:
            self._facts = around.facts
            self._integrations = {domain: _fields(around.facts, domain) for domain in around.facts.integrations}
        self._watching.begin(events, around)

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Add what is known of the integration and of the device."""
        entity_id = event.entity_id or ""
        place = around.places[event.place] if event.place >= 0 else None
        about = self._about.get(entity_id)
        if about is None or about.place is not place:
            about = self._about[entity_id] = self._find(entity_id, place, around)
        if not about.fields and not about.measured:
            return True
        extras = event.extras
        if extras is None:
            extras = event.extras = {}
        if event.source not in _PAST:
            extras.update(about.fields)
        for name, series in about.measured:
            value = series.value_at(event.time_us)
            if type(value) is float:
                extras[name] = value
        return True

    def _find(self, entity_id: str, place: Place | None, around: Surroundings) -> _About:
        fields = self._integrations.get(place.integration, {}) if place is not None else {}
        device = around.facts.devices.get(around.facts.entity_devices.get(entity_id, ""))
        if device is None:
            return _About(place, fields, ())
        named = (
            ("device_link_quality", device.link_quality_entity_id),
            ("device_signal", device.signal_entity_id),
            ("device_battery", device.battery_entity_id),
        )
        # What a sensor says itself need not be said of it again.
        some = [(name, self._watching.series(around.home, one)) for name, one in named if one and one != entity_id]
        return _About(place, fields, tuple((name, series) for name, series in some if series is not None))


def _fields(facts: HomeFacts, domain: str) -> dict[str, Extra]:
    known = facts.integrations[domain]
    found: dict[str, Extra] = {}
    if known.version:
        found["integration_version"] = known.version
    if known.quality_scale:
        found["integration_quality"] = known.quality_scale
    return found
