"""How the weather of each home is, for `status` and `/api/health`: from what the weather task left; asks nobody."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ingestor import bootstrap
from ingestor.api.side_by_side import NotWell
from ingestor.weather.desk import WeatherStatus, read_status

if TYPE_CHECKING:
    from ingestor.settings import Settings

#: Failures one after the other that are more than a hiccup.
_MANY = 3


def read_weather(settings: Settings) -> Callable[[], dict[str, WeatherStatus]]:
    """Return what reads how the weather of each home is; none where nobody is to be asked."""
    state = bootstrap.open_state(settings)
    provider = settings.weather.provider

    def read() -> dict[str, WeatherStatus]:
        if provider == "none" or "weather" not in settings.enrichment.steps:
            return {}
        return {home.name: read_status(state, home.name, provider) for home in settings.all_homes()}

    return read


def weather_check(settings: Settings) -> Callable[[], str]:
    """Return the check of an installation. It raises NotWell where a provider does not tell the weather."""
    read = read_weather(settings)

    def check() -> str:
        found = read()
        told = "; ".join(f"{home}: {sentence(one)}" for home, one in found.items())
        if any(is_ill(one, settings.weather.daily_calls) for one in found.values()):
            raise NotWell(told)
        return told or "not asked for"

    return check


def is_ill(status: WeatherStatus, daily_calls: int) -> bool:
    """Tell whether somebody should look."""
    trouble = status.trouble
    return status.calls_today >= daily_calls or (
        trouble is not None and (trouble.kind != "away" or trouble.failures >= _MANY)
    )


def sentence(status: WeatherStatus, *, now_s: float | None = None) -> str:
    """Return it in words."""
    now_s = time.time() if now_s is None else now_s
    if status.observed_s:
        minutes = max(0.0, now_s - status.observed_s) / 60
        seen = f"observed {minutes:,.0f} min ago, {status.calls_today} calls today"
    else:
        seen = "nothing fetched yet"
    trouble = status.trouble
    if trouble is None:
        return f"{status.provider}: {seen}"
    left_s = trouble.open_until_s - now_s
    pause = f", not asked again for {left_s:,.0f} s" if left_s > 0 else ""
    return f"{status.provider} {trouble.kind} ({trouble.failures} times{pause}): {trouble.detail}; {seen}"


def as_object(status: WeatherStatus) -> dict[str, Any]:
    """Return plain JSON types."""
    trouble = status.trouble
    return {
        "provider": status.provider,
        "fetched_s": status.fetched_s,
        "observed_s": status.observed_s,
        "calls_today": status.calls_today,
        "trouble": None if trouble is None else {name: getattr(trouble, name) for name in trouble.__struct_fields__},
    }
