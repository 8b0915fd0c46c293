"""`/devices`, `/entities`, `/areas`, `/automations`: what a home consists of, as it is or was, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from ingestor import bootstrap
from ingestor.api.answers import (
    NOT_FOUND,
    UNANSWERABLE,
    Asking,
    Cursor,
    Limit,
    Moment,
    Page,
    Question,
    Text,
    as_json,
    json_answer,
    may_read,
)
from ingestor.api.graphs import Graphs
from ingestor.api.means import Means
from ingestor.api.objects import Objects
from ingestor.api.paging import cursor_of, next_link, place_of
from ingestor.home.graph import questions
from ingestor.home.objects_store import RegistryObjects
from ingestor.reading.graph import automations_object, read_runs, related_object
from ingestor.reading.homes import home_name
from ingestor.reading.objects import find, identity_of, name_of
from ingestor.reading.times import rfc3339_of_us
from ingestor.reading.traces import open_runs, run_object

router: Final = APIRouter(prefix="/api/v1", tags=["home"], dependencies=[Depends(may_read)])
_US_NS: Final = 1000
_ONE: Final = "{object_id}"
#: Path, and kind of object.
_KINDS: Final = (("devices", "device"), ("entities", "entity"), ("areas", "area"), ("automations", "automation"))


class OfHome(Question):
    """Of which home."""

    home: Text | None = Field(None, description="Default: the first home of the settings.")


class AtTime(OfHome):
    """Of which home, and when."""

    at: Moment | None = Field(None, description="As it was then; default: now.")


class ObjectList(AtTime):
    """Which objects, and which part of them."""

    limit: Limit = 100
    cursor: Cursor | None = None


class RunList(OfHome):
    """Which runs."""

    result: Text | None = Field(None, description="Only runs that ended so: finished, error, failed_conditions, ….")
    limit: Limit = 100


class ObjectShape(BaseModel):
    """An object of a home."""

    id: str
    name: str
    data: dict[str, Any] = Field(description="As Home Assistant tells it, without secrets.")


class KnownShape(ObjectShape):
    """An object with its past."""

    kind: str
    since: str = Field(json_schema_extra={"format": "date-time"}, description="Since when it is as it is.")
    until: str | None = Field(json_schema_extra={"format": "date-time"}, description="Null: it still is.")
    series: str | None = Field(None, description="Of an entity: the lasting name of what is stored of it.")
    former_entity_ids: list[str] = Field([], description="Of an entity: what it was called before.")


class RelatedShape(BaseModel):
    """What a thing is related to."""

    thing: str
    related: list[dict[str, Any]] = Field(description="One step away: what, by which edge, and why that is known.")
    around: list[str] = Field(description="All that is in it, uses it, is used by it, and where that stands.")


class RunShape(BaseModel):
    """A run of an automation."""

    run_id: str
    entity_id: str
    started: str = Field(json_schema_extra={"format": "date-time"})
    finished: str = Field(json_schema_extra={"format": "date-time"})
    result: str
    error: str
    trigger: str
    last_step: str
    context_id: str


class RunItems(BaseModel):
    """Runs, the newest first."""

    items: list[RunShape]


class DependenciesShape(BaseModel):
    """How automations and scripts depend on each other."""

    links: list[dict[str, Any]] = Field(description="What sets off what, through what.")
    order: list[list[str]] = Field(description="In which order; those of a circle together.")
    shared: list[dict[str, Any]] = Field(description="Entities that several write.")
    always_fail: list[dict[str, Any]]
    never_ran: list[str]
    never_seen: list[str] = Field(description="Not seen to run since observation began.")


def objects_of(means: Means) -> RegistryObjects:
    """Open the objects of the homes; blocks."""
    return bootstrap.open_objects(means.settings, means.metadata())


def called(key: str, data: dict[str, Any]) -> str:
    """Return what people call an object: its name, else its entity_id, else its id."""
    return name_of(data, str(data.get("entity_id") or key))


def key_in_graph(kind: str, key: str, data: dict[str, Any]) -> str:
    """Return how the graph calls an object."""
    if kind in ("entity", "automation"):
        return str(data.get("entity_id") or key)
    return f"{kind}:{key}"


def dependencies_of(means: Means, graphs: Graphs, home: str | None) -> DependenciesShape:
    """Return how the automations of a home depend on each other; blocks. Raises NotFound, StoreUnavailable."""
    name = home_name(means.settings, home)
    failing, ran = read_runs(means.settings, means.metadata(), name)
    return DependenciesShape.model_validate(automations_object(graphs.of(name), failing, ran))


def run_shape(told: dict[str, Any]) -> RunShape:
    """Return a run as it is told."""
    times = {"started": rfc3339_of_us(told["started_us"]), "finished": rfc3339_of_us(told["finished_us"])}
    return RunShape.model_validate({**told, **times})


@router.get("/automations/dependencies", response_model=DependenciesShape, responses=NOT_FOUND)
async def read_dependencies(request: Request, asked: Annotated[OfHome, Query()], means: Asking) -> Response:
    """Return which automation sets off which other one, in which order, and what always fails."""
    graphs: Graphs = request.app.state.graphs
    return json_answer(await means.other(lambda: as_json(dependencies_of(means, graphs, asked.home))))


@router.get("/automations/{automation_id}/executions", response_model=RunItems, responses=NOT_FOUND)
async def list_executions(
    automation_id: Annotated[str, Path(description="An entity_id, an id or a name.")],
    asked: Annotated[RunList, Query()],
    means: Asking,
) -> Response:
    """Return the runs of an automation that are kept, the newest first."""

    def read() -> bytes:
        known = open_runs(means.settings, means.metadata(), home_name(means.settings, asked.home))
        runs = known.kept.runs(known.home, known.find(automation_id), result=asked.result, limit=asked.limit)
        return as_json(RunItems(items=[run_shape(run_object(run, known)) for run in runs]))

    return json_answer(await means.other(read))


def _objects(means: Means, kept: Objects, kind: str, asked: AtTime) -> Mapping[str, dict[str, Any]]:
    home = home_name(means.settings, asked.home)
    if asked.at is None:
        return kept.now(home, kind)
    return objects_of(means).load(home, kind, asked.at // _US_NS).get(kind, {})


def _add_list(path: str, kind: str) -> None:
    """Add the route of all objects of a kind."""

    async def list_them(request: Request, asked: Annotated[ObjectList, Query()], means: Asking) -> Response:
        question = (kind, asked.model_dump(exclude={"limit", "cursor"}))
        after = place_of(asked.cursor, question, (str,))[0] if asked.cursor is not None else ""

        def read() -> tuple[bytes, str | None]:
            found = _objects(means, request.app.state.objects, kind, asked)
            keys = sorted(key for key in found if key > after)
            page = keys[: asked.limit]
            cursor = cursor_of(question, (page[-1],)) if len(keys) > len(page) else None
            items = [ObjectShape(id=key, name=called(key, found[key]), data=found[key]) for key in page]
            return as_json(Page[ObjectShape](items=items, next=cursor)), cursor

        body, cursor = await means.other(read)
        return json_answer(body, next_link(request, cursor))

    named: dict[str, Any] = {"operation_id": f"list_{path}", "description": f"Return the {path} of a home, in pages."}
    router.add_api_route(
        f"/{path}", list_them, response_model=Page[ObjectShape], responses=UNANSWERABLE | NOT_FOUND, **named
    )


def _add_one(path: str, kind: str) -> None:
    """Add the route of one object of a kind."""

    async def read_one(
        object_id: Annotated[str, Path(description="An id, an entity_id or a name.")],
        asked: Annotated[AtTime, Query()],
        means: Asking,
    ) -> Response:
        def read() -> bytes:
            home, store = home_name(means.settings, asked.home), objects_of(means)
            key, held = find(store, home, kind, object_id, None if asked.at is None else asked.at // _US_NS)
            more = identity_of(means.metadata(), store, home, key, held.data) if kind == "entity" else {}
            since, until = rfc3339_of_us(held.from_us), None if held.until_us is None else rfc3339_of_us(held.until_us)
            shape = {"id": key, "kind": kind, "name": called(key, held.data), "since": since, "until": until}
            return as_json(KnownShape.model_validate({**shape, "data": held.data, **more}))

        return json_answer(await means.other(read))

    named: dict[str, Any] = {
        "operation_id": f"read_{kind}",
        "description": f"Return all that is known of one of the {path}.",
    }
    router.add_api_route(f"/{path}/{_ONE}", read_one, response_model=KnownShape, responses=NOT_FOUND, **named)


def _add_relationships(path: str, kind: str) -> None:
    """Add the route of what one object of a kind is related to."""

    async def read_relationships(
        request: Request,
        object_id: Annotated[str, Path(description="An id, an entity_id or a name.")],
        asked: Annotated[OfHome, Query()],
        means: Asking,
    ) -> Response:
        graphs: Graphs = request.app.state.graphs

        def read() -> bytes:
            home = home_name(means.settings, asked.home)
            key, held = find(objects_of(means), home, kind, object_id)
            graph = graphs.of(home)
            node = questions.find(graph, key_in_graph(kind, key, held.data))
            told = related_object(node.key, questions.related(graph, node.key), questions.around(graph, node.key))
            return as_json(RelatedShape.model_validate(told))

        return json_answer(await means.other(read))

    named: dict[str, Any] = {
        "operation_id": f"read_{kind}_relationships",
        "description": f"Return what one of the {path} is related to: where it stands, who uses it.",
    }
    router.add_api_route(
        f"/{path}/{_ONE}/relationships", read_relationships, response_model=RelatedShape, responses=NOT_FOUND, **named
    )


for _path, _kind in _KINDS:
    for _add in (_add_list, _add_one, _add_relationships):
        _add(_path, _kind)
