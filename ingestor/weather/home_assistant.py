"""Home Assistant's own weather entity (no key, no address of ours): asked where no event has told it yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from ingestor import errors
from ingestor.events.values import time_us
from ingestor.home.observation import Observation, observation_of
from ingestor.weather.port import WeatherRefused, WeatherUnavailable

NAME: Final = "homeassistant"
#: Returns what Home Assistant says of all its entities now.
ReadStates = Callable[[], Sequence[Mapping[str, Any]]]


class HomeAssistantWeather:
    """Reads one entity; "" where the home has none."""

    name: Final = NAME
    has_history: Final = False

    def __init__(self, entity_id: str, read_states: ReadStates) -> None:
        self._entity_id = entity_id
        self._read_states = read_states

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
        """Return nothing: its recorder forgets."""
        del first, last
        return ()

    def _states(self) -> Sequence[Mapping[str, Any]]:
        try:
            return self._read_states()
        except errors.AuthenticationRefused as error:
            raise WeatherRefused(str(error)) from error
        except errors.IngestorError as error:
            raise WeatherUnavailable(str(error)) from error
