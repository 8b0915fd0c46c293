"""`/relationships/…`: what fails with a thing, what goes in circles, how two things hang together, who uses one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from ingestor.api.answers import NOT_FOUND, Asking, Text, as_json, json_answer, may_read
from ingestor.api.graphs import Graphs
from ingestor.api.means import Means
from ingestor.api.v1.home import OfHome
from ingestor.home.graph import questions
from ingestor.home.graph.model import HomeGraph
from ingestor.reading.graph import cycle_object, edge_object, impact_object, uses_object
from ingestor.reading.homes import home_name

router: Final = APIRouter(prefix="/api/v1/relationships", tags=["home"], dependencies=[Depends(may_read)])


class OfThing(OfHome):
    """Of which thing."""

    thing: Text = Field(description="An entity_id, a name, or `kind:id` (`device:4f2c…`, `integration:mqtt`).")


class BetweenThings(OfHome):
    """From which thing to which."""

    start: Text = Field(alias="from", description="An entity_id, a name, or `kind:id`.")
    end: Text = Field(alias="to", description="An entity_id, a name, or `kind:id`.")


class ImpactShape(BaseModel):
    """What a failure does."""

    failed: str
    dark: dict[str, list[str]] = Field(description="What goes dark, each with the path from what failed.")
    affected: dict[str, list[dict[str, Any]]] = Field(description="Who then lacks something, and what.")
    seen_lost_with_it: list[dict[str, Any]]


class UsesShape(BaseModel):
    """Who uses a thing."""

    thing: str
    safe_to_delete: bool
    uses: list[dict[str, Any]]
    hidden: list[str] = Field(description="What could not be read.")
    undecided: list[str] = Field(description="Where a configuration says only when it runs what it means.")


class CyclesShape(BaseModel):
    """Circles."""

    items: list[dict[str, Any]] = Field(
        description="Automations that set each other off, through what, how often seen."
    )


class PathShape(BaseModel):
    """How two things hang together."""

    start: str
    end: str
    connected: bool
    edges: list[dict[str, Any]] = Field(description="A shortest way, edge by edge, each with why it is known.")


def impact_of(graph: HomeGraph, thing: str) -> ImpactShape:
    """Return what a failure does. Raises NotFound."""
    key = questions.find(graph, thing).key
    return ImpactShape.model_validate(impact_object(key, questions.impact(graph, key)))


def uses_of(graph: HomeGraph, thing: str) -> UsesShape:
    """Return who uses a thing. Raises NotFound."""
    key = questions.find(graph, thing).key
    return UsesShape.model_validate(uses_object(graph, key, questions.uses(graph, key)))


def cycles_of(graph: HomeGraph) -> CyclesShape:
    """Return circles."""
    from ingestor.home.graph import automations  # noqa: PLC0415 -- networkx takes 10 MB of who never asks

    return CyclesShape(items=[cycle_object(cycle) for cycle in automations.cycles(graph)])


def path_between(graph: HomeGraph, start: str, end: str) -> PathShape:
    """Return how two things hang together. Raises NotFound."""
    begin, until = (questions.find(graph, thing).key for thing in (start, end))
    edges = questions.path(graph, begin, until)
    told = [{"edge": edge.kind, **edge_object(edge)} for edge in edges]
    return PathShape(start=begin, end=until, connected=bool(edges) or begin == until, edges=told)


async def _answer(request: Request, home: str | None, means: Means, ask: Callable[[HomeGraph], BaseModel]) -> Response:
    graphs: Graphs = request.app.state.graphs
    return json_answer(await means.other(lambda: as_json(ask(graphs.of(home_name(means.settings, home))))))


@router.get("/impact", response_model=ImpactShape, responses=NOT_FOUND)
async def read_impact(request: Request, asked: Annotated[OfThing, Query()], means: Asking) -> Response:
    """Return what goes dark if a device, a hub or an integration fails, and which automations then lack something."""
    return await _answer(request, asked.home, means, lambda graph: impact_of(graph, asked.thing))


@router.get("/uses", response_model=UsesShape, responses=NOT_FOUND)
async def read_uses(request: Request, asked: Annotated[OfThing, Query()], means: Asking) -> Response:
    """Return every use of a thing, configured or observed: what would break if it were deleted or renamed."""
    return await _answer(request, asked.home, means, lambda graph: uses_of(graph, asked.thing))


@router.get("/cycles", response_model=CyclesShape, responses=NOT_FOUND)
async def read_cycles(request: Request, asked: Annotated[OfHome, Query()], means: Asking) -> Response:
    """Return automations that set each other off in a circle, those that were seen to do so first."""
    return await _answer(request, asked.home, means, cycles_of)


@router.get("/path", response_model=PathShape, responses=NOT_FOUND)
async def read_path(request: Request, asked: Annotated[BetweenThings, Query()], means: Asking) -> Response:
    """Return how two things hang together, by the fewest edges."""
    return await _answer(request, asked.home, means, lambda graph: path_between(graph, asked.start, asked.end))
