"""The endpoints of administration, in the shapes that the dashboard asks for: figures, newest states, settings."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field

from ingestor import errors
from ingestor.api.answers import Asking, Question, Text, as_json, json_answer, may_read
from ingestor.api.config_change import ConfigChange, has_masks, place_text, without_masks
from ingestor.api.description import problem_response
from ingestor.api.etag import may_write, tag_of
from ingestor.api.gate import principal_of
from ingestor.api.means import Means
from ingestor.api.recent import RecentStates
from ingestor.api.stats import StatsWatch
from ingestor.api.v1.events import EventFilters, series_asked_for
from ingestor.live.hub import LiveHub
from ingestor.reading.config import plain
from ingestor.reading.recent import recent_states
from ingestor.security.access import Action, authorize
from ingestor.security.audit import Audit
from ingestor.settings_following import differing, is_live
from ingestor.settings_writing import SettingsFile
from ingestor.storage.port import Store

router: Final = APIRouter(prefix="/api", tags=["admin"])
#: Who reads a group of settings when it starts.
_READ_BY: Final = {"homeassistant": ("listeners", "workers"), "weather": ("workers",)}
_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    400: problem_response(
        "The settings would not be in order as a whole: every fault is named; or one is said twice, or masked."
    ),
    409: problem_response("A stronger source (environment, command line) decides, or the file cannot be written."),
    412: problem_response("`If-Match` names other settings than there are now."),
}


class StatsShape(BaseModel):
    """How much comes in; null: not known just now."""

    events_per_hour: float | None = Field(
        description="Received in the last 60 minutes: of the hour before this one, in proportion."
    )
    total_events_today: int | None = Field(description="Since midnight where the API runs.")
    last_event_time: str | None = Field(json_schema_extra={"format": "date-time"})
    error_rate: float | None = Field(description="Percent of the last 24 hours that was rejected or lost.")


class WeatherShape(BaseModel):
    """The weather outside."""

    temperature: float | None = Field(description="°C.")
    humidity: float | None = Field(description="%.")
    pressure: float | None = Field(description="hPa.")
    condition: str | None
    timestamp: str | None = Field(description="When it was observed.")


class RecentShape(BaseModel):
    """A change of state."""

    entity_id: str
    domain: str
    device_class: str | None
    state_value: str | None = Field(description="Null: it was removed.")
    previous_state: str | None
    timestamp: str = Field(json_schema_extra={"format": "date-time"})
    weather_data: WeatherShape | None = Field(description="As of its time; null where none is known.")
    attributes: dict[str, Any] = Field(description="Those that are stored, and the unit.")


class RecentList(Question):
    """Which of the newest states."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    entity_id: Text | None = Field(None, description="Glob over the entity_id.")


class ConfigShape(BaseModel):
    """The settings that the dashboard changes, and all others; secrets are masked to their last four signs."""

    ha_url: str | None = Field(description="Its password, where it has one, is masked.")
    ha_token_masked: str | None
    weather_api_key_masked: str | None
    weather_location: str | None = Field(description="`latitude,longitude`; null: as set in Home Assistant.")
    retention_days: int | None = Field(description="Older events are deleted; null: they are kept for ever.")
    weather_cache_minutes: float
    file: str | None = Field(description="Where changes are written; null: nowhere.")
    needs_restart: list[str] = Field(description="Who still runs with other settings than these.")
    changes: dict[str, str] = Field(
        description="Of a change: what became of each setting; else of those that this process does not run with:"
        " `applied` (every process follows within seconds), or `needs a restart of …`."
    )
    settings: dict[str, Any] = Field(description="Every setting.")


async def may_see_settings(request: Request) -> None:
    """Let pass who may read settings."""
    authorize(principal_of(request.scope), Action.READ_CONFIG)


async def may_change_settings(request: Request) -> None:
    """Let pass who may change settings."""
    authorize(principal_of(request.scope), Action.CHANGE_CONFIG)


@router.get("/stats", response_model=StatsShape, dependencies=[Depends(may_read)])
async def read_stats(request: Request, means: Asking) -> Response:
    """Return how much comes in."""
    watch: StatsWatch = request.app.state.stats
    return json_answer(await means.other(lambda: as_json(StatsShape.model_validate(watch.read().as_dict()))))


@router.get("/events/recent", response_model=list[RecentShape], dependencies=[Depends(may_read)])
async def list_recent(request: Request, asked: Annotated[RecentList, Query()], means: Asking) -> Response:
    """Return the newest changes of state with the weather of their time, newest first."""
    series = await series_asked_for(EventFilters(entity=asked.entity_id), means)
    recent: RecentStates = request.app.state.recent
    if (kept := await recent.read(asked.limit, series, asked.entity_id)) is not None:
        return json_answer(_list_of(kept))

    def read(store: Store) -> bytes:
        return _list_of(map(_shown, recent_states(store, asked.limit, series, asked.entity_id)))

    return json_answer(await means.store(read))


def open_recent(hub: LiveHub | None, means: Means) -> RecentStates:
    """Return what keeps the newest changes of state, in the shape that the API tells them in."""
    return RecentStates(hub, means, _shown)


def _shown(one: dict[str, Any]) -> bytes:
    return as_json(RecentShape.model_validate(one))


def _list_of(items: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]"


@router.get("/config", response_model=ConfigShape, dependencies=[Depends(may_see_settings)])
async def read_config(request: Request, means: Asking) -> Response:
    """Return the settings as a process that starts now would have them, and who still runs with others."""
    file: SettingsFile | None = request.app.state.settings_file
    return json_answer(await means.other(lambda: _config(means, file)))


@router.put("/config", response_model=ConfigShape, responses=_REFUSED, dependencies=[Depends(may_change_settings)])
async def change_config(
    request: Request, change: ConfigChange, means: Asking, if_match: Annotated[str | None, Header()] = None
) -> Response:
    """Change settings: checked as a whole, noted in the audit, written to the settings file; all of them or none.

    Of several at once that name the same settings by `If-Match`, one is written.
    """
    file: SettingsFile | None = request.app.state.settings_file
    audit: Audit = request.app.state.audit

    named = None if if_match is None else ",".join(request.headers.getlist("if-match"))

    def decide() -> dict[str, Any]:
        if named is not None and not may_write(named, tag_of(_config(means, file))):
            raise HTTPException(412, "the settings are others than those that If-Match names")
        wanted = change.wanted()
        if file is not None and has_masks(wanted):
            wanted = without_masks(wanted, file.load().settings)
        if wanted:
            about = {"keys": sorted(wanted), "request_id": request.scope["state"]["request_id"]}
            audit.note(principal_of(request.scope), Action.CHANGE_CONFIG, about)
        return wanted

    def write() -> bytes:
        if file is None:
            raise errors.Conflict("this process has no settings file")
        return _config(means, file, file.change(decide))

    return json_answer(await means.other(write))


def _config(means: Means, file: SettingsFile | None, wanted: Collection[str] = ()) -> bytes:
    now = means.settings
    then = now if file is None else file.load().settings
    differ = differing(now, then)
    weather, home = then.weather, then.homeassistant
    shape = ConfigShape(
        ha_url=plain(home.url),
        ha_token_masked=plain(home.token),
        weather_api_key_masked=plain(weather.api_key),
        weather_location=place_text(weather),
        retention_days=then.retention.days,
        weather_cache_minutes=weather.cache_minutes,
        file=None if file is None else str(file.path),
        needs_restart=_needs_restart(differ),
        changes={key: _became(key) for key in sorted({*differ, *wanted})},
        settings=plain(then),
    )
    return as_json(shape)


def _needs_restart(differ: Iterable[str]) -> list[str]:
    """Return who has read other settings than there are."""
    return sorted({one for key in differ if not is_live(key) for one in _readers(key)})


def _readers(key: str) -> tuple[str, ...]:
    return _READ_BY.get(key.partition(".")[0], ("all",))


def _became(key: str) -> str:
    return "applied" if is_live(key) else f"needs a restart of {' and '.join(_readers(key))}"
