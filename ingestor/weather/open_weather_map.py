"""OpenWeatherMap (key): the weather now, by its "current weather data"; https://openweathermap.org/current.

Its past weather is another product (One Call 3.0), which this adapter does not ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from ingestor.home.observation import Observation, number
from ingestor.weather.http import get_json
from ingestor.weather.port import Coordinates, WeatherUnavailable

NAME: Final = "openweathermap"
_URL: Final = "https://api.openweathermap.org"
#: Its condition codes in Home Assistant's words: the hundreds, then those that are something else.
_GROUPS: Final[Mapping[int, str]] = {2: "lightning-rainy", 3: "rainy", 5: "rainy", 6: "snowy", 7: "fog", 8: "cloudy"}
_CODES: Final[Mapping[int, str]] = {
    **dict.fromkeys((210, 211, 212, 221), "lightning"),
    **dict.fromkeys((502, 503, 504, 522, 531), "pouring"),
    **dict.fromkeys((511, 611, 612, 613, 615, 616), "snowy-rainy"),
    **dict.fromkeys((771, 781), "windy"),
    800: "sunny",
    801: "partlycloudy",
    802: "partlycloudy",
}


class OpenWeatherMap:
    """Asks OpenWeatherMap, or a server of the same kind at `url`."""

    name: Final = NAME
    has_history: Final = False

    def __init__(self, place: Coordinates, key: str, url: str = "") -> None:
        self._place = place
        self._key = key
        self._url = url.rstrip("/") or _URL

    def now(self) -> Observation | None:
        """Return the weather now."""
        asked = {"lat": self._place.latitude, "lon": self._place.longitude, "units": "metric", "appid": self._key}
        return _observation(get_json(f"{self._url}/data/2.5/weather", asked))

    def days(self, first: date, last: date) -> Sequence[Observation]:
        """Return nothing: it is not asked for the past."""
        del first, last
        return ()


def _observation(answer: Mapping[str, Any]) -> Observation:
    at_s = number(answer.get("dt"))
    if at_s is None:
        raise WeatherUnavailable("OpenWeatherMap's answer has no `dt`")
    main, wind, clouds = (_part(answer, name) for name in ("main", "wind", "clouds"))
    return Observation(
        int(at_s) * 1_000_000,
        NAME,
        _condition(answer.get("weather")),
        number(main.get("temp")),
        number(main.get("humidity")),
        number(main.get("sea_level", main.get("pressure"))),
        number(wind.get("speed")),
        number(clouds.get("all")),
    )


def _part(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = answer.get(name)
    return found if isinstance(found, dict) else {}


def _condition(weather: Any) -> str:
    first = weather[0] if isinstance(weather, list) and weather and isinstance(weather[0], dict) else {}
    code = number(first.get("id"))
    if code is None:
        return ""
    found = _CODES.get(int(code)) or _GROUPS.get(int(code) // 100, "")
    is_night = str(first.get("icon", "")).endswith("n")
    return "clear-night" if found == "sunny" and is_night else found
