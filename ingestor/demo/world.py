"""What the demo home stands in: sun, weather and the days of its people, from seed and time alone; has no state."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from ingestor.demo import chance
from ingestor.demo.clock import DAY_US, HOUR_US, SECOND_US

LATITUDE: Final = 52.3731
LONGITUDE: Final = 4.8903
TIME_ZONE: Final = "Europe/Amsterdam"
_ZONE: Final = ZoneInfo(TIME_ZONE)
_TILT: Final = 23.44
_SATURDAY: Final = 5

#: When somebody is about in a room, in movements an hour, by hour of the day: (from, to, movements).
_MOVEMENTS: Final[dict[str, tuple[tuple[float, float, float], ...]]] = {
    "hallway": ((6.5, 9, 14), (9, 17, 3), (17, 23.5, 10)),
    "living_room": ((7, 9, 4), (9, 17, 2), (17, 23.5, 16)),
    "kitchen": ((6.5, 9, 18), (11.5, 13.5, 8), (17, 20, 18), (20, 23, 4)),
    "dining_room": ((7, 9, 6), (12, 13.5, 4), (18, 20, 8)),
    "bathroom": ((6.5, 8.5, 10), (8.5, 21, 2), (21, 23.5, 8)),
    "bedroom": ((6, 8, 6), (21.5, 24, 6)),
    "nursery": ((7, 8.5, 4), (16, 20, 6)),
    "office": ((9, 18, 8),),
    "garage": ((7.5, 9, 3), (17, 18.5, 3)),
}
_SELDOM: Final = 0.6
#: Movements an hour at which a house of sleepers still shows something.
_AT_NIGHT: Final = 0.25


class World:
    """Sun, weather and people. The same seed sees the same days."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def hour(self, now_us: int) -> float:
        """Return the hour of the day in the home's time zone, 0 to 24."""
        minute = _local(now_us // (60 * SECOND_US))
        return minute.hour + minute.minute / 60

    def sun_elevation(self, now_us: int) -> float:
        """Return how high the sun stands, in degrees; the usual approximation, good to about a degree."""
        day = now_us / DAY_US
        of_year = _local(now_us // (60 * SECOND_US)).timetuple().tm_yday
        declination = math.radians(-_TILT * math.cos(2 * math.pi * (of_year + 10) / 365.25))
        angle = 2 * math.pi * (day % 1 - 0.5) + math.radians(LONGITUDE)
        latitude = math.radians(LATITUDE)
        height = math.sin(latitude) * math.sin(declination)
        return math.degrees(math.asin(height + math.cos(latitude) * math.cos(declination) * math.cos(angle)))

    def clouds(self, now_us: int) -> float:
        """Return how much of the sky is covered, 0 to 1."""
        slow = chance.noise(f"clouds {self._seed}", now_us / (5 * HOUR_US))
        quick = chance.noise(f"cloud {self._seed}", now_us / (HOUR_US / 3))
        return min(1.0, max(0.0, 0.55 + 0.45 * slow + 0.15 * quick))

    def daylight(self, now_us: int) -> float:
        """Return the light outside, 0 to 1."""
        height = math.sin(math.radians(max(0.0, self.sun_elevation(now_us) + 4)))
        return height * (1 - 0.7 * self.clouds(now_us))

    def temperature(self, now_us: int) -> float:
        """Return the temperature outside, in degrees Celsius: the season's, the day's and the weather's part."""
        of_year = _local(now_us // (60 * SECOND_US)).timetuple().tm_yday
        season = 10.5 - 8 * math.cos(2 * math.pi * (of_year - 25) / 365.25)
        day = 3.5 * math.sin(2 * math.pi * (self.hour(now_us) - 9) / 24)
        return season + day + 3 * chance.noise(f"weather {self._seed}", now_us / (30 * HOUR_US))

    def humidity(self, now_us: int) -> float:
        """Return the relative humidity outside, in percent."""
        wet = 12 * self.clouds(now_us) + 6 * chance.noise(f"wet {self._seed}", now_us / (7 * HOUR_US))
        return min(99.0, max(30.0, 92 - 1.4 * self.temperature(now_us) + wet - 8))

    def pressure(self, now_us: int) -> float:
        """Return the pressure of the air, in hPa."""
        return 1014 + 14 * chance.noise(f"pressure {self._seed}", now_us / (36 * HOUR_US))

    def wind(self, now_us: int) -> float:
        """Return the wind, in km/h."""
        return max(1.0, 15 + 12 * chance.noise(f"wind {self._seed}", now_us / (4 * HOUR_US)))

    def condition(self, now_us: int) -> str:
        """Return the weather in one word of Home Assistant's."""
        clouds = self.clouds(now_us)
        if clouds > 0.9:  # noqa: PLR2004 - a sky so covered that it rains
            return "rainy"
        names = ("sunny" if self.sun_elevation(now_us) > 0 else "clear-night", "partlycloudy", "cloudy")
        return names[min(2, int(clouds * 3))]

    def forecast(self, now_us: int) -> dict[str, Any]:
        """Return the attributes of a weather entity."""
        return {
            "temperature": round(self.temperature(now_us), 1),
            "dew_point": round(self.temperature(now_us) - (100 - self.humidity(now_us)) / 5, 1),
            "temperature_unit": "°C",
            "humidity": round(self.humidity(now_us)),
            "cloud_coverage": round(100 * self.clouds(now_us), 1),
            "pressure": round(self.pressure(now_us), 1),
            "pressure_unit": "hPa",
            "wind_bearing": round(180 + 170 * chance.noise(f"bearing {self._seed}", now_us / (9 * HOUR_US)), 1),
            "wind_speed": round(self.wind(now_us), 1),
            "wind_speed_unit": "km/h",
            "visibility_unit": "km",
            "precipitation_unit": "mm",
        }

    def is_home(self, person: str, now_us: int) -> bool:
        """Tell whether a person is at home: away for work on most weekdays, for errands at the weekend."""
        local = _local(now_us // (60 * SECOND_US))
        key = (self._seed, person, local.date().isoformat())
        leaves, returns = 7.7 + 1.2 * chance.fraction("leaves", *key), 16.8 + 2 * chance.fraction("returns", *key)
        if local.weekday() >= _SATURDAY:
            leaves, returns = leaves + 3, leaves + 4.5 + chance.fraction("errand", *key)
        stays = chance.fraction("stays", *key) < 0.3  # noqa: PLR2004 - three days of ten at home
        return stays or not leaves <= self.hour(now_us) < returns

    def movements(self, area_id: str, now_us: int, *, anyone_home: bool) -> float:
        """Return how often somebody moves in a room, in movements an hour."""
        if not anyone_home:
            return 0.1
        hour = self.hour(now_us)
        rates = (rate for start, end, rate in _MOVEMENTS.get(area_id, ()) if start <= hour < end)
        awake = 6.5 <= hour < 23.5  # noqa: PLR2004 - most are up
        return next(rates, _SELDOM if awake else _AT_NIGHT)


@lru_cache(maxsize=4096)
def _local(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC).astimezone(_ZONE)
