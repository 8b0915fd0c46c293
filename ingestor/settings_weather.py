"""The settings of the weather outside; part of the tree in `settings`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ingestor import settings_types as types
from ingestor.settings_types import Group


class WeatherSettings(Group):
    """The weather outside, which the step `weather` adds to events."""

    provider: Literal["homeassistant", "open-meteo", "openweathermap", "none"] = Field(
        "homeassistant",
        description="Who tells it: homeassistant (its weather entity; nobody else is asked), open-meteo (no key),"
        " openweathermap (key).",
    )
    entity: str = Field(
        "",
        pattern=r"^(weather\.[^\s.]+)?$",
        description="Home Assistant's weather entity; default: the first by name. Only for that provider.",
    )
    api_key: types.Token = Field(None, description="Key of OpenWeatherMap.")
    url: types.HttpUrl | None = Field(
        None, description="Address of a server of the provider's kind, such as an Open-Meteo of your own."
    )
    latitude: float | None = Field(
        None, ge=-90, le=90, description="Where the first home is, in degrees; default: as set in Home Assistant."
    )
    longitude: float | None = Field(None, ge=-180, le=180, description="The same, east is positive.")
    cache_minutes: float = Field(15.0, ge=1, le=1440, description="Minutes until the provider is asked again.")
    daily_calls: int = Field(
        200, ge=1, description="Most calls a day (UTC) for each home, tries that failed and days of the past included."
    )
    max_age_h: float = Field(
        6.0, gt=0, le=48, description="An observation that is older than this is not put on events any more."
    )
    historical: bool = Field(
        True,
        description="Ask for the weather of past days when a gap is filled, where the provider has it: open-meteo, and"
        " homeassistant as far back as its own recorder remembers.",
    )
    heating_base_c: float = Field(18.0, description="Base of heating degree days (°C).")
    cooling_base_c: float = Field(22.0, description="Base of cooling degree days (°C).")

    @model_validator(mode="after")
    def _check_whole(self) -> WeatherSettings:
        if self.provider == "openweathermap" and self.api_key is None:
            raise ValueError("provider openweathermap needs api_key")
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude go together")
        return self
