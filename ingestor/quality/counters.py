"""What a meter's number means beside the one before it: reset, zero blip, dip, spike; keeps nothing, asks nobody.

Whether a fall is a fault or a new beginning is seen from what comes next. Until then the last good value stands: it is
right for both, since the energy of an hour is the sum of what the cleaned value rises (a reset begins at nothing).
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

#: State classes of meters. `total` may fall (a meter that runs backwards), `total_increasing` falls when it is reset.
COUNTERS: Final = frozenset({"total", "total_increasing"})
INCREASING: Final = "total_increasing"
CounterEvent = Literal["reset", "zero", "dip", "spike"]
#: What holds a meter's last good value: one of the three faults, or that it was not heard.
Held = Literal["zero", "dip", "spike", "away"]

#: Home Assistant takes a fall of more than a tenth for a reset, a smaller one for noise.
_STILL_THE_SAME: Final = 0.9
_HOUR_US: Final = 3_600_000_000
#: After this, what lies lower is how it is.
_DIP_LASTS_US: Final = _HOUR_US
#: A reset that is told (`last_reset`) is told by then.
_RESET_WITHIN_US: Final = _HOUR_US
#: What comes faster than once a minute is counted as a minute: meters collect.
_LEAST_US: Final = 60_000_000
#: More in an hour than any house draws, by device class and unit: 1 MW; 100 m³.
_MOST_AN_HOUR: Final[dict[tuple[str, str], float]] = {
    **{
        ("energy", unit): 1000.0 / kwh
        for unit, kwh in (("Wh", 0.001), ("kWh", 1.0), ("MWh", 1000.0), ("MJ", 1 / 3.6), ("GJ", 1000 / 3.6))
    },
    **{
        (kind, unit): 100.0 / cubic_metres
        for kind in ("gas", "water")
        for unit, cubic_metres in (("m³", 1.0), ("L", 0.001), ("ft³", 0.0283168), ("CCF", 2.83168), ("gal", 0.00378541))
    },
}


class Meter(NamedTuple):
    """What was known of a meter: its last good value, when that was heard, and what holds it since when."""

    good: float
    at_us: int
    held: Held | None = None
    since_us: int = 0


class Heard(NamedTuple):
    """A number of a meter; `since_us` is when the state before had begun, where that is told."""

    value: float
    time_us: int
    increasing: bool
    since_us: int | None = None
    last_reset_us: int | None = None
    most_an_hour: float | None = None


class Judged(NamedTuple):
    """What a number means: what happened, the cleaned value, and what is known of the meter from then on."""

    event: CounterEvent | None
    clean: float
    meter: Meter


def most_an_hour(device_class: str | None, unit: str | None) -> float | None:
    """Return more than a meter can count in an hour, in its unit; None where nobody knows."""
    return _MOST_AN_HOUR.get((device_class or "", unit or ""))


def is_too_much(more: float, in_us: int, most: float) -> bool:
    """Tell whether a meter rose by more than it can in that time."""
    return more > most * max(in_us, _LEAST_US) / _HOUR_US


def judge(heard: Heard, meter: Meter) -> Judged:
    """Say what a number means after what is known of the meter."""
    if heard.value >= meter.good:
        return _risen(heard, meter)
    if _is_told(heard):
        return _good("reset", heard)
    if meter.held == "zero":
        return _after_zero(heard, meter)
    if heard.value == 0:
        return _hold("zero", heard, meter)
    return _fallen(heard, meter) if heard.increasing else _good(None, heard)


def _risen(heard: Heard, meter: Meter) -> Judged:
    begun_us = meter.since_us if meter.held else heard.since_us
    if meter.held == "spike" or heard.most_an_hour is None or begun_us is None:
        # The second number up there: no spike, but a new meter, or hours that were not heard of.
        return _good(None, heard)
    if is_too_much(heard.value - meter.good, heard.time_us - begun_us, heard.most_an_hour):
        return _hold("spike", heard, meter)
    return _good(None, heard)


def _fallen(heard: Heard, meter: Meter) -> Judged:
    stays_lower = meter.held == "dip" and heard.time_us - meter.since_us > _DIP_LASTS_US
    if stays_lower or heard.value < _STILL_THE_SAME * meter.good:
        return _good("reset", heard)
    return _hold("dip", heard, meter)


def _after_zero(heard: Heard, meter: Meter) -> Judged:
    if heard.value == 0 or heard.value >= _STILL_THE_SAME * meter.good:
        return _hold("zero", heard, meter)
    return _good("reset", heard)


def _is_told(heard: Heard) -> bool:
    at_us = heard.last_reset_us
    return at_us is not None and 0 <= heard.time_us - at_us <= _RESET_WITHIN_US


def _good(event: CounterEvent | None, heard: Heard) -> Judged:
    return Judged(event, heard.value, Meter(heard.value, heard.time_us))


def _hold(kind: Literal["zero", "dip", "spike"], heard: Heard, meter: Meter) -> Judged:
    goes_on = meter.held == kind
    since_us = meter.since_us if goes_on else heard.time_us
    return Judged(None if goes_on else kind, meter.good, Meter(meter.good, heard.time_us, kind, since_us))
