"""What a change of settings asks for, in the dashboard's words; reads no file and changes nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
)

from ingestor import errors
from ingestor.api.answers import whole
from ingestor.reading.config import plain
from ingestor.settings import Settings
from ingestor.settings_following import live_keys
from ingestor.settings_weather import WeatherSettings

#: Which setting each key of a change is; the location is two.
_KEYS: Final = {
    "ha_url": "homeassistant.url",
    "ha_token": "homeassistant.token",
    "weather_api_key": "weather.api_key",
    "weather_cache_minutes": "weather.cache_minutes",
    "retention_days": "retention.days",
}
_PLACE: Final = ("weather.latitude", "weather.longitude")
#: What stands for a secret, or for a part of one, wherever settings are shown.
_MASK: Final = "****"
#: Digits behind the point of a degree: a tenth of a millimetre.
_DIGITS: Final = 9
#: What a change may name besides the keys above, since it takes effect at once.
SettingName = StrEnum("SettingName", {one: one for one in live_keys()})  # type: ignore[misc] # kept in one place
_Number = StrictInt | StrictFloat


class ConfigChange(BaseModel):
    """What is to be different; what is left out stays, null takes a setting back to its default.

    A secret that comes back masked, as it is shown, stays as it is.
    """

    model_config = ConfigDict(extra="forbid")

    ha_url: Annotated[str, StringConstraints(max_length=2000)] | None = None
    ha_token: SecretStr | None = None
    weather_api_key: SecretStr | None = None
    weather_location: (
        Annotated[str, StringConstraints(pattern=r"^-?\d{1,3}(\.\d{1,9})?,-?\d{1,3}(\.\d{1,9})?$")] | None
    ) = None
    retention_days: Annotated[StrictInt, Field(ge=1, le=36_500), BeforeValidator(whole)] | None = None
    weather_cache_minutes: Annotated[StrictFloat, Field(ge=1, le=1440)] | None = None
    settings: dict[SettingName, _Number | StrictStr | list[StrictStr] | None] = Field(
        {}, description="Further settings that take effect at once, by dotted name; none that is said above."
    )

    def wanted(self) -> dict[str, Any]:
        """Return what is to be set, by dotted name of the setting; None takes it out.

        Raises Unanswerable where a setting is said twice.
        """
        further = {name.value: value for name, value in self.settings.items()}
        twice = sorted(name for name in self.model_fields_set & _KEYS.keys() if _KEYS[name] in further)
        if twice:
            told = "; ".join(f"{one} is {_KEYS[one]}, which is in settings, too" for one in twice)
            raise errors.Unanswerable(f"{told}: say one of both")
        found: dict[str, Any] = {}
        for name in self.model_fields_set & _KEYS.keys():
            value = getattr(self, name)
            found[_KEYS[name]] = value.get_secret_value() if isinstance(value, SecretStr) else value
        if "weather_location" in self.model_fields_set:
            place = self.weather_location.split(",") if self.weather_location else (None, None)
            found.update((key, None if part is None else float(part)) for key, part in zip(_PLACE, place, strict=True))
        return found | further


def has_masks(wanted: dict[str, Any]) -> bool:
    """Tell whether something that is to be set was masked when it was shown."""
    return any(isinstance(value, str) and _MASK in value for value in wanted.values())


def without_masks(wanted: dict[str, Any], now: Settings) -> dict[str, Any]:
    """Return what is to be set without what comes back as it is shown. Raises Unanswerable for any other mask."""
    home = now.homeassistant
    secret = {"homeassistant.url": home.url, "homeassistant.token": home.token, "weather.api_key": now.weather.api_key}
    found = {}
    for key, value in wanted.items():
        if key not in secret or value is None or _MASK not in value:
            found[key] = value
        elif value != plain(secret[key]):
            told = f"{key} has {_MASK} in it, which stands for a secret, and not for the one that is set"
            raise errors.Unanswerable(f"{told}: send all of it, or leave it out to keep what is set")
    return found


def place_text(weather: WeatherSettings) -> str | None:
    """Return `latitude,longitude` as a change takes it; None where no place is set."""
    if weather.latitude is None or weather.longitude is None:
        return None
    return f"{_degrees(weather.latitude)},{_degrees(weather.longitude)}"


def _degrees(value: float) -> str:
    # No exponent, and no minus before a zero.
    return f"{round(value, _DIGITS) + 0.0:.{_DIGITS}f}".rstrip("0").rstrip(".")
