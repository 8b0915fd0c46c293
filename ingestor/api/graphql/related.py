"""How things hang together, as the graph has it; as `/api/v1/relationships` answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from ingestor.api.graphql.context import Asked
from ingestor.api.graphql.fields import told
from ingestor.api.graphql.scalars import JSON
from ingestor.api.graphql.shapes import shaped
from ingestor.api.v1.home import DependenciesShape, dependencies_of
from ingestor.api.v1.relationships import (
    ImpactShape,
    PathShape,
    UsesShape,
    cycles_of,
    impact_of,
    path_between,
    uses_of,
)

if TYPE_CHECKING:
    Impact = ImpactShape
    Uses = UsesShape
    Path = PathShape
    Dependencies = DependenciesShape
else:
    Impact = shaped(ImpactShape, "Impact")
    Uses = shaped(UsesShape, "Uses")
    Path = shaped(PathShape, "Path")
    Dependencies = shaped(DependenciesShape, "Dependencies")
ThingName = Annotated[
    str, strawberry.argument(description="An entity_id, a name, or `kind:id` (`device:4f2c…`, `integration:mqtt`).")
]


@strawberry.type
class RelatedQueries:
    """What can be asked of how things hang together."""

    @told("What goes dark if a thing fails, and which automations then lack something.")
    async def impact(self, info: Asked, thing: ThingName, home: str | None = None) -> Impact:
        """Return what a failure does."""
        graph = await info.context.loaders.graph(info.context.home(home))
        return await info.context.other(lambda: impact_of(graph, thing))

    @told("Every use of a thing: what would break if it were deleted or renamed.")
    async def uses(self, info: Asked, thing: ThingName, home: str | None = None) -> Uses:
        """Return who uses it."""
        graph = await info.context.loaders.graph(info.context.home(home))
        return await info.context.other(lambda: uses_of(graph, thing))

    @told("How two things hang together, by the fewest edges.")
    async def path(self, info: Asked, start: ThingName, end: ThingName, home: str | None = None) -> Path:
        """Return the way."""
        graph = await info.context.loaders.graph(info.context.home(home))
        return await info.context.other(lambda: path_between(graph, start, end))

    @told("Automations that set each other off in a circle, those seen to do so first.")
    async def cycles(self, info: Asked, home: str | None = None) -> list[JSON]:
        """Return circles."""
        graph = await info.context.loaders.graph(info.context.home(home))
        return [JSON(one) for one in (await info.context.other(lambda: cycles_of(graph))).items]

    @told("Which automation sets off which other one, in which order, what always fails.")
    async def automation_dependencies(self, info: Asked, home: str | None = None) -> Dependencies:
        """Return how automations depend on each other."""
        context, name = info.context, info.context.home(home)
        return await context.other(lambda: dependencies_of(context.means, context.graphs, name))
