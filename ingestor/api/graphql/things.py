"""What a home consists of, each with what is in it, what it did and what is stored of it; loads by neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import strawberry

from ingestor import errors
from ingestor.api.graphql.context import Asked
from ingestor.api.graphql.events import (
    Aggregations,
    Event,
    EventKind,
    Filling,
    Window,
    WindowLength,
    event_shape,
    events_within,
    plain,
    windows_within,
)
from ingestor.api.graphql.fields import told
from ingestor.api.graphql.loaders import EventsKey, Objects, RunsKey
from ingestor.api.graphql.pages import FIRST_WITHIN, After, Connection, First, checked, connection
from ingestor.api.graphql.scalars import JSON, Time
from ingestor.api.graphql.shapes import shaped
from ingestor.api.paging import cursor_of, place_of
from ingestor.api.v1.events import MOST_SERIES, Within
from ingestor.api.v1.home import RelatedShape, RunShape, called, key_in_graph, run_shape
from ingestor.api.v1.home_events import entities_in
from ingestor.home.graph import questions
from ingestor.reading.graph import related_object
from ingestor.reading.objects import former_names
from ingestor.reading.times import rfc3339_of_us
from ingestor.reading.traces import run_object

if TYPE_CHECKING:
    Run = RunShape
    Related = RelatedShape
else:
    Run = shaped(RunShape, "Run")
    Related = shaped(RelatedShape, "Related")

T = TypeVar("T", bound="Thing")
_RUNS: Final = 10


@strawberry.interface(description="An object of a home.")
class Thing:
    """An object of a home, as it is or was at `at_us`."""

    home: str = strawberry.field(description="Of which home.")
    id: strawberry.ID
    data: JSON = strawberry.field(description="As Home Assistant tells it, without secrets.")
    at_us: strawberry.Private[int | None] = None

    kind_of: strawberry.Private[str] = ""

    @property
    def known(self) -> Mapping[str, Any]:
        """What Home Assistant tells of it."""
        found: Any = self.data
        return found if isinstance(found, Mapping) else {}

    @told("What people call it.")
    def name(self) -> str:
        """Return the name."""
        return called(str(self.id), dict(self.known))

    @told("Since when it is as it is.")
    async def since(self, info: Asked) -> Time | None:
        """Return the time."""
        history = await info.context.loaders.histories(self.home, self.kind_of, str(self.id))
        then = [one for one in history if self.at_us is None or one.from_us <= self.at_us]
        return Time(rfc3339_of_us(then[-1].from_us)) if then else None

    @told("What it is related to: where it stands, who uses it.")
    async def relationships(self, info: Asked) -> Related:
        """Return what is one step away, and what is around it."""
        graph = await info.context.loaders.graph(self.home)

        def ask() -> Related:
            node = questions.find(graph, key_in_graph(self.kind_of, str(self.id), dict(self.known)))
            found = related_object(node.key, questions.related(graph, node.key), questions.around(graph, node.key))
            return RelatedShape.model_validate(found)

        return await info.context.other(ask)


@strawberry.interface(description="What has stored events: they are those of its entities.")
class Stored(Thing):
    """What has stored events."""

    async def entity_ids(self, info: Asked) -> list[str]:
        """Return the entities whose events are its own."""
        raise NotImplementedError

    @told("What is stored of what is in it now, newest first, in pages.")
    async def events(
        self,
        info: Asked,
        kind: EventKind | None = None,
        since: Time | None = None,
        until: Time | None = None,
        first: First = FIRST_WITHIN,
        after: After = None,
    ) -> Connection[Event]:
        """Return a page."""
        names = await self.entity_ids(info)
        if len(names) > MOST_SERIES:
            raise errors.Unanswerable(f"more than {MOST_SERIES:,} entities are in it: ask for one device")
        series = await info.context.loaders.several_series(self.home, names)
        asked = {"kind": plain(kind), "since": since, "until": until, "limit": checked(first)}
        return await events_within(info.context, self.home, Within(self.kind_of, str(self.id), series), asked, after)


@strawberry.type(description="A room, or another place.")
class Area(Stored):
    """A room, or another place."""

    kind_of: strawberry.Private[str] = "area"

    @told("The devices that stand in it.")
    async def devices(self, info: Asked, first: First = FIRST_WITHIN, after: After = None) -> Connection[Device]:
        """Return a page."""
        found = await info.context.loaders.objects(self.home, "device", self.at_us)
        inside = {key: one for key, one in found.items() if one.get("area_id") == self.id}
        return page_of(Device, self, inside, first, after)

    @told("The entities that are in it, by themselves or with their device.")
    async def entities(self, info: Asked, first: First = FIRST_WITHIN, after: After = None) -> Connection[Entity]:
        """Return a page."""
        return page_of(Entity, self, await self._entities(info), first, after)

    async def entity_ids(self, info: Asked) -> list[str]:
        """Return the entities that are in it."""
        return _entity_ids(await self._entities(info))

    async def _entities(self, info: Asked) -> Objects:
        loaders = info.context.loaders
        kinds = {kind: dict(await loaders.objects(self.home, kind, self.at_us)) for kind in ("entity", "device")}
        return entities_in("area", str(self.id), kinds)


@strawberry.type(description="A device.")
class Device(Stored):
    """A device."""

    kind_of: strawberry.Private[str] = "device"

    @told("Who made it.")
    def manufacturer(self) -> str | None:
        """Return the name."""
        return _text(self.known.get("manufacturer"))

    @told("What its maker calls it.")
    def model(self) -> str | None:
        """Return the name."""
        return _text(self.known.get("model"))

    @told("Where it stands.")
    async def area(self, info: Asked) -> Area | None:
        """Return the area."""
        return await _other(Area, info, self, self.known.get("area_id"))

    @told("Its entities.")
    async def entities(self, info: Asked, first: First = FIRST_WITHIN, after: After = None) -> Connection[Entity]:
        """Return a page."""
        return page_of(Entity, self, await self._entities(info), first, after)

    async def entity_ids(self, info: Asked) -> list[str]:
        """Return its entities."""
        return _entity_ids(await self._entities(info))

    async def _entities(self, info: Asked) -> Objects:
        found = await info.context.loaders.objects(self.home, "entity", self.at_us)
        return {key: one for key, one in found.items() if one.get("device_id") == self.id}


@strawberry.type(description="An entity.")
class Entity(Stored):
    """An entity."""

    kind_of: strawberry.Private[str] = "entity"

    @told("What it is called by Home Assistant.")
    def entity_id(self) -> str:
        """Return the entity_id."""
        return str(self.known.get("entity_id") or self.id)

    @told("`sensor`, `light`, …")
    def domain(self) -> str:
        """Return the domain."""
        return self.entity_id().partition(".")[0]

    @told("The integration that it belongs to.")
    def integration(self) -> str | None:
        """Return the integration."""
        return _text(self.known.get("platform"))

    @told("The lasting name of what is stored of it.")
    async def series(self, info: Asked) -> str:
        """Return the series."""
        return await info.context.loaders.series(self.home, self.entity_id())

    @told("What it was called before, oldest first.")
    async def former_entity_ids(self, info: Asked) -> list[str]:
        """Return the names."""
        return former_names(await info.context.loaders.histories(self.home, "entity", str(self.id)), self.entity_id())

    @told("Its device.")
    async def device(self, info: Asked) -> Device | None:
        """Return the device."""
        return await _other(Device, info, self, self.known.get("device_id"))

    @told("Where it is: its own area, else that of its device.")
    async def area(self, info: Asked) -> Area | None:
        """Return the area."""
        own = self.known.get("area_id")
        if not own and (device := await _other(Device, info, self, self.known.get("device_id"))):
            own = device.known.get("area_id")
        return await _other(Area, info, self, own)

    @told("The newest change of its state that is stored.")
    async def latest(self, info: Asked) -> Event | None:
        """Return the event."""
        series = await info.context.loaders.series(self.home, self.entity_id())
        found = await info.context.loaders.events(EventsKey(self.home, (series,), 1, "state"))
        return event_shape(found[0]) if found else None

    @told("Its past by windows of time.")
    async def history(
        self,
        info: Asked,
        window: WindowLength,
        since: Time | None = None,
        until: Time | None = None,
        aggregates: Aggregations = None,
        fill: Filling = Filling.NONE,
    ) -> list[Window]:
        """Return the windows."""
        asked = {"window": window, "since": since, "until": until, "aggregate": plain(aggregates or [])}
        return await windows_within(info.context, self.home, self.entity_id(), {**asked, "fill": fill.value})

    async def entity_ids(self, info: Asked) -> list[str]:
        """Return itself."""
        del info
        return [self.entity_id()]


@strawberry.type(description="An automation.")
class Automation(Thing):
    """An automation."""

    kind_of: strawberry.Private[str] = "automation"

    @told("What it is called by Home Assistant.")
    def entity_id(self) -> str:
        """Return the entity_id."""
        return str(self.known.get("entity_id") or self.id)

    @told("Its runs that are kept, the newest first.")
    async def executions(
        self,
        info: Asked,
        result: Annotated[
            str | None, strawberry.argument(description="Only those that ended so: finished, error, ….")
        ] = None,
        first: First = _RUNS,
    ) -> list[Run]:
        """Return runs."""
        key = RunsKey(self.home, self.entity_id(), checked(first), result)
        runs, known = await info.context.loaders.runs(key)
        return [run_shape(run_object(run, known)) for run in runs]


def thing(kind: type[T], home: str, key: str, data: Mapping[str, Any], at_us: int | None = None) -> T:
    """Return an object."""
    return kind(home=home, id=strawberry.ID(key), data=JSON(data), at_us=at_us)


def page_of(kind: type[T], within: Thing, found: Objects, first: int, after: str | None) -> Connection[T]:
    """Return a page of what is in something. Raises Unanswerable."""
    question = (kind.kind_of, within.home, within.kind_of, str(within.id), within.at_us)
    return objects_page(kind, (within.home, within.at_us), found, (question, first, after))


def objects_page(
    kind: type[T], where: tuple[str, int | None], found: Objects, asked: tuple[object, int, str | None]
) -> Connection[T]:
    """Return a page of objects, by id; `asked`: what the cursor belongs to, how many, behind what."""
    question, first, after = asked
    begin = place_of(after, question, (str,))[0] if after is not None else ""
    keys = sorted(key for key in found if key > begin)
    page = keys[: checked(first)]
    home, at_us = where
    nodes = [thing(kind, home, key, found[key], at_us) for key in page]
    cursors = [cursor_of(question, (key,)) for key in page]
    return connection(nodes, cursors, more=len(keys) > len(page), after=after)


async def _other(kind: type[T], info: Asked, beside: Thing, key: object) -> T | None:
    """Return what something belongs to; None where that is not known."""
    if not key:
        return None
    found = await info.context.loaders.objects(beside.home, kind.kind_of, beside.at_us)
    data = found.get(str(key))
    return None if data is None else thing(kind, beside.home, str(key), data, beside.at_us)


def _entity_ids(entities: Objects) -> list[str]:
    return sorted(str(one.get("entity_id") or key) for key, one in entities.items())


def _text(value: object) -> str | None:
    return None if value is None else str(value)
