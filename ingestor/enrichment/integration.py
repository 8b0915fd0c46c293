"""The step `integration`: version and quality of what made an event's entity, and how its device is connected.

Link quality, signal and battery are those that the device's own sensors said last at the event's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ingestor.enrichment.steps import Surroundings
from ingestor.enrichment.watching import Watching
from ingestor.events.event import Event, Extra
from ingestor.home.facts import HomeFacts
from ingestor.home.watched import Series

#: Sources of the past: which version there was then, nobody knows.
_PAST: Final = frozenset({"history", "statistics"})


class _About(NamedTuple):
    """What is the same for all events of one entity in a batch."""

    fields: dict[str, Extra]
    measured: tuple[tuple[str, Series], ...]


_NOTHING: Final = _About({}, ())


class IntegrationStep:
    """Adds `integration_version`, `integration_quality`, and of the device link quality, signal and battery."""

    name: Final = "integration"

    def __init__(self, watching: Watching) -> None:
        self._watching = watching
        self._facts: HomeFacts | None = None
        self._integrations: dict[str, dict[str, Extra]] = {}
        #: By the index of the place in the batch: a place is one entity's.
        self._about: dict[int, _About] = {}

    def begin(self, events: Sequence[Event], around: Surroundings) -> None:
        """Take in what the devices' sensors say. Raises StateUnavailable."""
        self._about.clear()
        if around.facts is not self._facts:
            self._facts = around.facts
            self._integrations = {domain: _fields(around.facts, domain) for domain in around.facts.integrations}
        self._watching.begin(events, around)

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Add what is known of the integration and of the device."""
        about = self._about.get(event.place)
        if about is None:
            about = self._about[event.place] = self._find(event, around)
        if about is _NOTHING:
            return True
        if event.extras is None:
            event.extras = {}
        extras = event.extras
        if event.source not in _PAST:
            extras.update(about.fields)
        for name, series in about.measured:
            value = series.value_at(event.time_us)
            if type(value) is float:
                extras[name] = value
        return True

    def _find(self, event: Event, around: Surroundings) -> _About:
        fields = self._integrations.get(around.places[event.place].integration, {}) if event.place >= 0 else {}
        device = around.facts.devices.get(around.facts.entity_devices.get(event.entity_id or "", ""))
        if device is None:
            return _About(fields, ()) if fields else _NOTHING
        named = (
            ("device_link_quality", device.link_quality_entity_id),
            ("device_signal", device.signal_entity_id),
            ("device_battery", device.battery_entity_id),
        )
        # What a sensor says itself need not be said of it again.
        some = [
            (name, self._watching.series(around.home, one)) for name, one in named if one and one != event.entity_id
        ]
        measured = tuple((name, series) for name, series in some if series is not None)
        return _About(fields, measured) if fields or measured else _NOTHING


def _fields(facts: HomeFacts, domain: str) -> dict[str, Extra]:
    known = facts.integrations[domain]
    found: dict[str, Extra] = {}
    if known.version:
        found["integration_version"] = known.version
    if known.quality_scale:
        found["integration_quality"] = known.quality_scale
    return found
