"""Open-Meteo (no key): the weather now, and of past days; https://open-meteo.com/en/docs tells the shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from ingestor.home.observation import Observation, number
from ingestor.weather.http import get_json
from ingestor.weather.port import Coordinates, WeatherUnavailable

NAME: Final = "open-meteo"
_NOW: Final = "https://api.open-meteo.com"
_PAST: Final = "https://archive-api.open-meteo.com"
_VARIABLES: Final = (
    "temperature_2m",
    "relative_humidity_2m",
    "pressure_msl",
    "wind_speed_10m",
    "cloud_cover",
    "weather_code",
    "is_day",
)
#: The archive lags behind by up to five days; the forecast knows these days, too.
_ARCHIVED_AFTER: Final = timedelta(days=6)
#: WMO codes of the weather in Home Assistant's words, as its own integration of Open-Meteo has them.
_CONDITIONS: Final[Mapping[int, str]] = {
    0: "sunny",
    1: "sunny",
    2: "partlycloudy",
    3: "cloudy",
    **dict.fromkeys((45, 48), "fog"),
    **dict.fromkeys((51, 53, 55, 56, 57, 61, 63, 66, 80, 81), "rainy"),
    **dict.fromkeys((65, 67, 82), "pouring"),
    **dict.fromkeys((71, 73, 75, 77, 85, 86), "snowy"),
    **dict.fromkeys((95, 96, 99), "lightning-rainy"),
}


class OpenMeteo:
    """Asks Open-Meteo, or a server of the same kind at `url`."""

    name: Final = NAME
    has_history: Final = True

    def __init__(
        self, place: Coordinates, url: str = "", *, today: Callable[[], date] = lambda: datetime.now(UTC).date()
    ) -> None:
        self._place = place
        self._url = url.rstrip("/")
        self._today = today

    def now(self) -> Observation | None:
        """Return the weather now."""
        answer = get_json(f"{self._url or _NOW}/v1/forecast", self._asked(current=",".join(_VARIABLES)))
        current = answer.get("current")
        if not isinstance(current, dict):
            raise WeatherUnavailable("Open-Meteo's answer has no `current`")
        return _observation(current, self.name)

    def days(self, first: date, last: date) -> Sequence[Observation]:
        """Return the hours of these days."""
        archived = last < self._today() - _ARCHIVED_AFTER
        url = f"{self._url or _PAST}/v1/archive" if archived else f"{self._url or _NOW}/v1/forecast"
        span = {"start_date": first.isoformat(), "end_date": last.isoformat()}
        answer = get_json(url, self._asked(hourly=",".join(_VARIABLES), **span))
        hours = answer.get("hourly")
        if not isinstance(hours, dict) or not isinstance(hours.get("time"), list):
            raise WeatherUnavailable("Open-Meteo's answer has no `hourly`")
        found = (_observation(_row(hours, index), f"{self.name}-archive") for index in range(len(hours["time"])))
        # Hours that are not known yet have no values.
        return [one for one in found if one.temperature_c is not None]

    def _asked(self, **more: str) -> dict[str, str | float]:
        place = {"latitude": self._place.latitude, "longitude": self._place.longitude}
        return {**place, "timezone": "UTC", "wind_speed_unit": "ms", "temperature_unit": "celsius", **more}


def _row(hours: Mapping[str, Any], index: int) -> dict[str, Any]:
    return {name: column[index] for name, column in hours.items() if isinstance(column, list) and index < len(column)}


def _observation(values: Mapping[str, Any], provider: str) -> Observation:
    code = number(values.get("weather_code"))
    condition = _CONDITIONS.get(int(code), "") if code is not None else ""
    if condition == "sunny" and values.get("is_day") == 0:
        condition = "clear-night"
    return Observation(
        _time_us(values.get("time")),
        provider,
        condition,
        number(values.get("temperature_2m")),
        number(values.get("relative_humidity_2m")),
        number(values.get("pressure_msl")),
        number(values.get("wind_speed_10m")),
        number(values.get("cloud_cover")),
    )


def _time_us(text: Any) -> int:
    """Return a time such as 2026-11-21T12:15, which is UTC because we ask for that."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise WeatherUnavailable(f"Open-Meteo's answer has no time: {text!r:.40}") from error
    return int(moment.replace(tzinfo=UTC).timestamp()) * 1_000_000
