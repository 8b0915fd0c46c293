"""The root of every question; knows no transport."""

from __future__ import annotations

from typing import Annotated, TypeVar

import strawberry

from ingestor.api.graphql.context import Asked, Context
from ingestor.api.graphql.events import EventQueries
from ingestor.api.graphql.fields import told
from ingestor.api.graphql.keeping import KeepingQueries
from ingestor.api.graphql.pages import FIRST, After, Connection, First
from ingestor.api.graphql.quality import QualityQueries
from ingestor.api.graphql.related import RelatedQueries
from ingestor.api.graphql.scalars import Time
from ingestor.api.graphql.things import Area, Automation, Device, Entity, Thing, objects_page, thing
from ingestor.api.v1.home import objects_of
from ingestor.reading.objects import find
from ingestor.reading.times import ns_of_rfc3339

T = TypeVar("T", bound=Thing)
Home = Annotated[str | None, strawberry.argument(description="Default: the first home of the settings.")]
At = Annotated[Time | None, strawberry.argument(description="As it was then; default: now.")]
Named = Annotated[str, strawberry.argument(description="An id, an entity_id or a name.")]


@strawberry.type(name="Home", description="A home.")
class HomeObject:
    """A home."""

    name: str

    @told("Its areas.")
    async def areas(self, info: Asked, at: At = None, first: First = FIRST, after: After = None) -> Connection[Area]:
        """Return a page."""
        return await _listed(info.context, Area, self.name, at, (first, after))

    @told("Its devices.")
    async def devices(
        self, info: Asked, at: At = None, first: First = FIRST, after: After = None
    ) -> Connection[Device]:
        """Return a page."""
        return await _listed(info.context, Device, self.name, at, (first, after))

    @told("Its entities.")
    async def entities(
        self, info: Asked, at: At = None, first: First = FIRST, after: After = None
    ) -> Connection[Entity]:
        """Return a page."""
        return await _listed(info.context, Entity, self.name, at, (first, after))

    @told("Its automations.")
    async def automations(
        self, info: Asked, at: At = None, first: First = FIRST, after: After = None
    ) -> Connection[Automation]:
        """Return a page."""
        return await _listed(info.context, Automation, self.name, at, (first, after))


@strawberry.type
class HomeQueries:
    """What can be asked of homes and what is in them."""

    @told("The homes of the settings.")
    def homes(self, info: Asked) -> list[HomeObject]:
        """Return them."""
        info.context.allow(None)
        return [HomeObject(name=home.name) for home in info.context.means.settings.all_homes()]

    @told("A home; default: the first one.")
    def home(self, info: Asked, name: str | None = None) -> HomeObject:
        """Return it."""
        return HomeObject(name=info.context.home(name))

    @told("The areas of a home.")
    async def areas(
        self, info: Asked, home: Home = None, at: At = None, first: First = FIRST, after: After = None
    ) -> Connection[Area]:
        """Return a page."""
        return await _listed(info.context, Area, home, at, (first, after))

    @told("The devices of a home.")
    async def devices(
        self, info: Asked, home: Home = None, at: At = None, first: First = FIRST, after: After = None
    ) -> Connection[Device]:
        """Return a page."""
        return await _listed(info.context, Device, home, at, (first, after))

    @told("The entities of a home.")
    async def entities(
        self, info: Asked, home: Home = None, at: At = None, first: First = FIRST, after: After = None
    ) -> Connection[Entity]:
        """Return a page."""
        return await _listed(info.context, Entity, home, at, (first, after))

    @told("The automations of a home.")
    async def automations(
        self, info: Asked, home: Home = None, at: At = None, first: First = FIRST, after: After = None
    ) -> Connection[Automation]:
        """Return a page."""
        return await _listed(info.context, Automation, home, at, (first, after))

    @told("One area.")
    async def area(self, info: Asked, id: Named, home: Home = None, at: At = None) -> Area | None:  # noqa: A002 -- its name in the schema
        """Return it."""
        return await _found(info.context, Area, home, id, at)

    @told("One device.")
    async def device(self, info: Asked, id: Named, home: Home = None, at: At = None) -> Device | None:  # noqa: A002 -- its name in the schema
        """Return it."""
        return await _found(info.context, Device, home, id, at)

    @told("One entity.")
    async def entity(self, info: Asked, id: Named, home: Home = None, at: At = None) -> Entity | None:  # noqa: A002 -- its name in the schema
        """Return it."""
        return await _found(info.context, Entity, home, id, at)

    @told("One automation.")
    async def automation(self, info: Asked, id: Named, home: Home = None, at: At = None) -> Automation | None:  # noqa: A002 -- its name in the schema
        """Return it."""
        return await _found(info.context, Automation, home, id, at)


@strawberry.type(description="What can be asked.")
class Query(HomeQueries, EventQueries, RelatedQueries, QualityQueries, KeepingQueries):
    """What can be asked."""


async def _listed(
    context: Context, kind: type[T], home: str | None, at: str | None, page: tuple[int, str | None]
) -> Connection[T]:
    name, at_us = context.home(home), _us(at)
    found = await context.loaders.objects(name, kind.kind_of, at_us)
    return objects_page(kind, (name, at_us), found, ((kind.kind_of, name, at_us), *page))


async def _found(context: Context, kind: type[T], home: str | None, text: str, at: str | None) -> T:
    name, at_us = context.home(home), _us(at)
    key, held = await context.other(lambda: find(objects_of(context.means), name, kind.kind_of, text, at_us))
    return thing(kind, name, key, held.data, at_us)


def _us(at: str | None) -> int | None:
    return None if at is None else ns_of_rfc3339(at) // 1000
