"""`/devices/{id}/events`, and so of entities and areas: what is stored of what belongs to a thing."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from ingestor import errors
from ingestor.api.answers import NOT_FOUND, UNANSWERABLE, Asking, Page, may_read
from ingestor.api.means import Means
from ingestor.api.v1.events import MOST_SERIES, EventList, Within, answer_events
from ingestor.api.v1.home import objects_of
from ingestor.api.v1.shapes import EventShape
from ingestor.home.history import MapHistory
from ingestor.home.objects_store import Loaded
from ingestor.reading.homes import home_name
from ingestor.reading.objects import find

router: Final = APIRouter(prefix="/api/v1", tags=["home"], dependencies=[Depends(may_read)])
Objects = dict[str, dict[str, Any]]
_KINDS: Final = (("devices", "device"), ("entities", "entity"), ("areas", "area"))


def _series(means: Means, home: str, kind: str, object_id: str) -> tuple[str, ...]:
    """Return the series of all entities that are in a thing now. Raises NotFound, Unanswerable."""
    store = objects_of(means)
    key, held = find(store, home, kind, object_id)
    inside = {key: held.data} if kind == "entity" else entities_in(kind, key, store.load(home))
    chosen = [str(one.get("entity_id") or name) for name, one in inside.items()]
    if len(chosen) > MOST_SERIES:
        raise errors.Unanswerable(f"more than {MOST_SERIES:,} entities are in it: ask for one device")
    known = MapHistory(means.metadata()).series_now(home, chosen)
    return tuple(sorted({known.get(one, one) for one in chosen}))


def entities_in(kind: str, key: str, objects: Loaded) -> Objects:
    """Return the entities that are in a device, or in an area: by themselves or with their device."""
    entities = objects.get("entity", {})
    if kind == "device":
        return {name: one for name, one in entities.items() if one.get("device_id") == key}
    devices = {name for name, one in objects.get("device", {}).items() if one.get("area_id") == key}
    return {name: one for name, one in entities.items() if _stands_in(one, key, devices)}


def _stands_in(entity: dict[str, Any], area: str, devices: set[str]) -> bool:
    """Tell whether an entity is in an area: by its own, else by that of its device."""
    own = entity.get("area_id")
    return bool(own == area) if own else entity.get("device_id") in devices


def _add_kind(path: str, kind: str) -> None:
    async def list_events(
        request: Request,
        object_id: Annotated[str, Path(description="An id, an entity_id or a name.")],
        asked: Annotated[EventList, Query()],
        means: Asking,
    ) -> Response:
        home = home_name(means.settings, asked.home)
        series = await means.other(lambda: _series(means, home, kind, object_id))
        return await answer_events(
            request, asked.model_copy(update={"home": home}), means, within=Within(kind, object_id, series)
        )

    router.add_api_route(
        f"/{path}/{{object_id}}/events",
        list_events,
        response_model=Page[EventShape],
        responses=UNANSWERABLE | NOT_FOUND,
        operation_id=f"list_{kind}_events",
        description=f"Return the stored events of what is now in one of the {path}, newest first, in pages.",
    )


for _path, _kind in _KINDS:
    _add_kind(_path, _kind)
