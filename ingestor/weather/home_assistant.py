"""Home Assistant's own weather entity (no key, no address of ours): asked where no event has told it yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from ingestor import errors
from ingestor.events.values import time_us
from ingestor.home.observation import Observation, observation_of
from ingestor.weather.port import WeatherRefused, WeatherUnavailable

NAME: Final = "homeassistant"
#: Returns what Home Assistant says of all its entities now.
ReadStates = Callable[[], Sequence[Mapping[str, Any]]]
#: Returns the recorded changes of the entity in a time, as `history/history_during_period` tells them.
ReadHistory = Callable[[datetime, datetime], Sequence[Mapping[str, Any]]]
#: Of the past so much is kept: the first value of each quarter of an hour.
_QUARTER_US: Final = 900_000_000
_US_PER_S: Final = 1_000_000


class HomeAssistantWeather:
    """Reads one entity; "" where the home has none. The past it has as far as Home Assistant's recorder remembers."""

    name: Final = NAME

    def __init__(self, entity_id: str, read_states: ReadStates, read_history: ReadHistory | None = None) -> None:
        self._entity_id = entity_id
        self._read_states = read_states
        self._read_history = read_history

    @property
    def has_history(self) -> bool:
        """Whether there is somebody to ask of the past."""
        return self._read_history is not None and bool(self._entity_id)

    def now(self) -> Observation | None:
        """Return what the entity says."""
        if not self._entity_id:
            return None
        state = next((one for one in self._states() if one.get("entity_id") == self._entity_id), None)
        if state is None:
            raise WeatherRefused(f"Home Assistant has no {self._entity_id}")
        attributes = state.get("attributes")
        try:
            # From 2024.8 on it also tells when the entity said the same once more.
            at_us = time_us(str(state.get("last_reported") or state.get("last_updated")))
        except errors.Rejected as error:
            raise WeatherUnavailable(f"{self._entity_id} has no time") from error
        found = observation_of(at_us, state.get("state"), attributes if isinstance(attributes, dict) else {})
        if found is None:
            raise WeatherUnavailable(f"{self._entity_id} is {state.get('state')}")
        return found

    def days(self, first: date, last: date) -> Sequence[Observation]:
        """Return what the entity said on these days, a value a quarter of an hour; what is forgotten is not there."""
        if self._read_history is None or not self._entity_id:
            return ()
        start = datetime.combine(first, time(), UTC)
        end = datetime.combine(last + timedelta(days=1), time(), UTC)
        read = self._read_history
        found: dict[int, Observation] = {}
        for row in _asked(lambda: read(start, end)):
            one = _recorded(row)
            if one is not None and start.timestamp() <= one.observed_us / _US_PER_S < end.timestamp():
                found.setdefault(one.observed_us // _QUARTER_US, one)
        return [found[quarter] for quarter in sorted(found)]

    def _states(self) -> Sequence[Mapping[str, Any]]:
        return _asked(self._read_states)


def _recorded(row: Mapping[str, Any]) -> Observation | None:
    """Return what a row of the history says; its times are Unix seconds."""
    at_s, attributes = row.get("lu"), row.get("a")
    if not isinstance(at_s, int | float):
        return None
    return observation_of(round(at_s * _US_PER_S), row.get("s"), attributes if isinstance(attributes, dict) else {})


def _asked(question: Callable[[], Sequence[Mapping[str, Any]]]) -> Sequence[Mapping[str, Any]]:
    try:
        return question()
    except errors.AuthenticationRefused as error:
        raise WeatherRefused(str(error)) from error
    except errors.IngestorError as error:
        raise WeatherUnavailable(str(error)) from error
