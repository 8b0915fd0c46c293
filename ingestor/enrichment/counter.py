"""The step `counter`: what the number of a meter means, and its cleaned value; the raw one stays as it is.

Only events of meters are looked at, and the state server is asked once a second at most, or when a meter is at fault.
What is known moves forward in event time alone (rule 7): an event that is late or sent again gets nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ingestor import metrics
from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event, EventKind
from ingestor.events.values import number_of
from ingestor.quality.counters import COUNTERS, INCREASING, Heard, Judged, Meter, is_too_much, judge, most_an_hour
from ingestor.quality.meters import HeldMeters
from ingestor.quality.rule import RAW_UNIT, REPAIRED_BY
from ingestor.quality.rules import rule_of
from ingestor.quality.units import energy_factor
from ingestor.storage.schema import READ_BACK

#: Meters that are remembered in a process.
_MAX_METERS: Final = 20_000
_ABSENT: Final = frozenset({"unavailable", "unknown"})


class CounterStep:
    """Adds `counter_event` and `value_clean` to states of meters, where there is something to say."""

    name: Final = "counter"
    kinds: Final[frozenset[EventKind]] = frozenset()

    def __init__(self, held: HeldMeters) -> None:
        self._held = held
        self._meters: dict[tuple[str, str], Meter] = {}

    def apply(self, event: Event, around: Surroundings) -> bool:
        """Do nothing: all is done for whole batches."""
        del event, around
        return True

    def finish(self, events: Sequence[Event], around: Surroundings) -> None:
        """Judge the numbers of meters, in the order of their times."""
        counters = [event for event in events if event.state_class in COUNTERS and event.source not in READ_BACK]
        if not counters:
            return
        home, held = around.home, self._held.read(around.home)
        changed: dict[str, Meter] = {}
        for event in sorted(counters, key=_time_us):
            series = around.places[event.place].series
            known = self._meters.get((home, series))
            if held and (shared := held.get(series)) and (known is None or shared.at_us > known.at_us):
                known = shared
            if known is not None and event.time_us <= known.at_us:
                continue
            after = _look(event, known)
            if after is None:
                continue
            self._remember(home, series, after)
            if after.held or (known is not None and known.held):
                changed[series] = after
        if changed:
            self._held.put(home, changed)

    def _remember(self, home: str, series: str, meter: Meter) -> None:
        if len(self._meters) >= _MAX_METERS:
            self._meters.clear()
        self._meters[home, series] = meter


def _look(event: Event, known: Meter | None) -> Meter | None:
    """Add to the event what is to be said of it; return what is known of its meter then, None for nothing new."""
    extras = event.extras
    is_raw = extras is None or REPAIRED_BY not in extras
    value, before = event.value if is_raw else number_of(event.state), number_of(event.previous_state)
    if (known is None or known.held is None) and _rose(
        event, value, before, event.unit if is_raw else _raw_unit(event)
    ):
        return Meter(value or 0.0, event.time_us)
    # What the event carries comes first; of a value that is held it does not know.
    if before is not None and (known is None or known.held is None):
        known = Meter(before, 0)
    if value is None:
        return _away(event, known)
    if known is None:
        return Meter(value, event.time_us)
    unit = _raw_unit(event)
    heard = Heard(
        value,
        event.time_us,
        event.state_class == INCREASING,
        event.previous_changed_us,
        event.last_reset_us,
        most_an_hour(event.device_class, unit),
    )
    judged = judge(heard, known)
    _tell(event, value, judged)
    return judged.meter


def _rose(event: Event, value: float | None, before: float | None, unit: str | None) -> bool:
    """Tell whether a meter went on as nine times of ten: a little more than before, by what the event itself says."""
    if value is None or before is None or value < before:
        return False
    begun_us, most = event.previous_changed_us, most_an_hour(event.device_class, unit)
    if value == before or most is None or begun_us is None:
        return True
    return not is_too_much(value - before, event.time_us - begun_us, most)


def _away(event: Event, known: Meter | None) -> Meter | None:
    """Hold the last good value while a meter cannot be heard: what comes after says no state before it."""
    if known is None or event.state not in _ABSENT:
        return None
    return Meter(known.good, event.time_us, known.held or "away", known.since_us or event.time_us)


def _tell(event: Event, value: float, judged: Judged) -> None:
    if judged.event is None and judged.clean == value:
        return
    extras = event.extras = event.extras or {}
    if judged.event is not None:
        extras["counter_event"] = judged.event
        if rule := rule_of(judged.event):
            metrics.counter("ingestor_quality_findings_total", rule=rule.name, severity=rule.severity).inc()
    if judged.clean != value and event.value is not None:
        # The judged number is the raw one; the point's may be in another unit.
        factor = event.value / value if value else energy_factor(_raw_unit(event), event.unit or "")
        extras["value_clean"] = judged.clean * factor


def _raw_unit(event: Event) -> str:
    raw = None if event.extras is None else event.extras.get(RAW_UNIT)
    return raw if isinstance(raw, str) else event.unit or ""


def _time_us(event: Event) -> int:
    return event.time_us
