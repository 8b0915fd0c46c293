"""What is asked of whoever knows the weather; knows none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from ingestor import errors
from ingestor.home.observation import Observation


@dataclass(frozen=True, slots=True)
class Coordinates:
    """A place on the globe, in degrees."""

    latitude: float
    longitude: float


class WeatherUnavailable(errors.Transient):
    """The weather provider cannot be reached, is overloaded, or answers what nobody understands."""


class WeatherLimited(errors.Transient):
    """The weather provider says that it was asked too often."""


class WeatherRefused(errors.Fatal):
    """The weather provider refuses our key, or what we ask for."""


class WeatherProvider(Protocol):
    """Somebody who knows the weather of a home."""

    @property
    def name(self) -> str:
        """The provider's name, as in the settings; also in the field `weather_provider`."""
        ...

    @property
    def has_history(self) -> bool:
        """Whether `days` answers."""
        ...

    def now(self) -> Observation | None:
        """Return the weather now, None where there is nothing that tells it. One call.

        Raises WeatherUnavailable, WeatherLimited, WeatherRefused.
        """
        ...

    def days(self, first: date, last: date) -> Sequence[Observation]:
        """Return the hours of these days (UTC), as far as they are known. One call; raises as `now` does."""
        ...
