"""From the text of the wire to typed values: times, numbers, availability; no knowledge of any source."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Final

from ingestor import errors

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: What a store can hold as nanoseconds in 64 bits.
_LAST_US: Final = (2**63 - 1) // 1000
#: States that are a number in Home Assistant's own mind (`helpers/state.py`), without "unknown": that is no value.
_AS_NUMBER: Final = {
    "on": 1.0,
    "off": 0.0,
    "open": 1.0,
    "closed": 0.0,
    "home": 1.0,
    "not_home": 0.0,
    "locked": 1.0,
    "unlocked": 0.0,
    "above_horizon": 1.0,
    "below_horizon": 0.0,
}
_ZONE: Final = re.compile(r"[T ]\d.*([zZ]|[+-]\d\d(:?\d\d)*)$")
_NUMBER_STARTS: Final = frozenset("+-.0123456789")


def time_us(text: str) -> int:
    """Return ISO 8601 text as Unix microseconds; a time without a zone is UTC, as Home Assistant means it.

    Raises InvalidEvent("invalid_time") where it is none, or one that no store can hold.
    """
    quick = home_assistant_time_us(text)
    return _any_time_us(text) if quick is None else quick


def home_assistant_time_us(text: str) -> int | None:
    """Return a time in UTC that says so, as Home Assistant writes it; None for any other, and for what is none."""
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is not UTC:
        return None
    since = moment - _EPOCH
    micros = since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds
    return micros if 0 <= micros <= _LAST_US else None


def has_zone(text: str) -> bool:
    """Tell whether a time says in which zone it is."""
    return _ZONE.search(text) is not None


def _any_time_us(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise errors.InvalidEvent("invalid_time", f"{text!r:.80} is not an ISO 8601 time") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    micros = _since_epoch_us(moment)
    if not 0 <= micros <= _LAST_US:
        raise errors.InvalidEvent("time_out_of_range", f"{text!r:.80} is before 1970 or after 2262")
    return micros


def _since_epoch_us(moment: datetime) -> int:
    since = moment - _EPOCH
    return since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds


def number_of(state: str | None) -> float | None:
    """Return a state as a number: numeric text, or a word that stands for 1 or 0; else None.

    Only what a person would call a number: no "nan", no "1_000", which Python's `float` would take.
    """
    if not state:
        return None
    if state[0] not in _NUMBER_STARTS:
        return _AS_NUMBER.get(state)
    if "_" in state:
        return None
    try:
        number = float(state)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def is_available(state: str | None) -> bool:
    """Tell whether a state says that its entity could be heard; a removed entity could not."""
    return state is not None and state != "unavailable"
