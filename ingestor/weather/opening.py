"""From settings and facts of a home to whom its weather is asked of; asks nobody itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ingestor.home.asking import ask_home, within
from ingestor.home.facts import HomeFacts
from ingestor.home.watched import weather_key
from ingestor.settings import HomeSettings, Settings
from ingestor.settings_weather import WeatherSettings
from ingestor.weather import home_assistant, open_meteo, open_weather_map
from ingestor.weather.desk import Rules, WeatherDesk
from ingestor.weather.home_assistant import HomeAssistantWeather
from ingestor.weather.open_meteo import OpenMeteo
from ingestor.weather.open_weather_map import OpenWeatherMap
from ingestor.weather.port import Coordinates, WeatherProvider

if TYPE_CHECKING:
    import redis

_HOME_ANSWERS_WITHIN_S: Final = 6.0


def series_of(weather: WeatherSettings, facts: HomeFacts) -> str:
    """Return under which name the weather of a home is among the watched entities; "" for none."""
    if weather.provider == "none":
        return ""
    if weather.provider != home_assistant.NAME:
        return weather_key(weather.provider)
    return weather.entity or next(iter(facts.weather_entity_ids), "")


def open_desk(
    settings: Settings, home: HomeSettings, facts: HomeFacts, state: redis.Redis[bytes]
) -> WeatherDesk | None:
    """Return where the weather of a home is fetched; None where nobody can be asked."""
    provider = _provider(settings, home, facts, state)
    if provider is None:
        return None
    chosen = settings.weather
    rules = Rules(chosen.cache_minutes * 60, chosen.daily_calls)
    return WeatherDesk(home.name, series_of(chosen, facts), provider, state, rules)


def _provider(
    settings: Settings, home: HomeSettings, facts: HomeFacts, state: redis.Redis[bytes]
) -> WeatherProvider | None:
    chosen = settings.weather
    if chosen.provider == home_assistant.NAME:
        return _entity(series_of(chosen, facts), home, state) if home.homeassistant.url else None
    place = _place(settings, home, facts)
    if place is None:
        return None
    if chosen.provider == open_meteo.NAME:
        return OpenMeteo(place, chosen.url or "")
    if chosen.provider == open_weather_map.NAME and chosen.api_key is not None:
        return OpenWeatherMap(place, chosen.api_key.get_secret_value(), chosen.url or "")
    return None


def _entity(entity_id: str, home: HomeSettings, state: redis.Redis[bytes]) -> WeatherProvider | None:
    def read_states() -> Sequence[Mapping[str, Any]]:
        with ask_home(home, state, within(_HOME_ANSWERS_WITHIN_S)) as client:
            return client.get_states()

    def read_history(start: datetime, end: datetime) -> Sequence[Mapping[str, Any]]:
        with ask_home(home, state, within(_HOME_ANSWERS_WITHIN_S)) as client:
            return client.history_during_period(start, end, (entity_id,)).get(entity_id, [])

    return HomeAssistantWeather(entity_id, read_states, read_history) if entity_id else None


def _place(settings: Settings, home: HomeSettings, facts: HomeFacts) -> Coordinates | None:
    chosen = settings.weather
    if home.name == settings.home and chosen.latitude is not None and chosen.longitude is not None:
        return Coordinates(chosen.latitude, chosen.longitude)
    if facts.latitude is None or facts.longitude is None:
        return None
    return Coordinates(facts.latitude, facts.longitude)
