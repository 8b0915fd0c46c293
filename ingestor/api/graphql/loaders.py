"""Asks once for all that stand beside each other: of a hundred devices the entities, of these the newest state.

Each loader gathers the keys that come up at the same time and asks the store or the database one question for them.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from strawberry.dataloader import DataLoader

from ingestor import errors
from ingestor.api.graphs import Graphs
from ingestor.api.means import Means
from ingestor.api.objects import Objects as KeptObjects
from ingestor.api.v1.home import objects_of
from ingestor.events.point import StoredEvent
from ingestor.home.graph.model import HomeGraph
from ingestor.home.history import MapHistory
from ingestor.home.objects import Held
from ingestor.reading.history import Aggregate, Fill, HistoryAsked, history_rows
from ingestor.reading.traces import KnownRuns, open_runs
from ingestor.storage.port import EventQuery, Store
from ingestor.storage.reading_order import in_order, names_of

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
Objects = Mapping[str, dict[str, Any]]
#: Events that one question brings at most, where several lists are read at once.
MOST_EVENTS: Final = 50_000


class Asks(Protocol):
    """By what is asked."""

    @property
    def means(self) -> Means:
        """The means of the application."""
        ...

    @property
    def objects(self) -> KeptObjects:
        """The objects of the homes as they are."""
        ...

    @property
    def graphs(self) -> Graphs:
        """The graphs of the homes."""
        ...

    async def store(self, ask: Callable[[Store], T]) -> T:
        """Return what the store answers."""
        ...

    async def other(self, ask: Callable[[], T]) -> T:
        """Return what anything else answers."""
        ...


class ObjectsKey(NamedTuple):
    """The objects of a kind, as they are or were (Unix, microseconds)."""

    home: str
    kind: str
    at_us: int | None


class EventsKey(NamedTuple):
    """The newest events of some series."""

    home: str
    series: tuple[str, ...]
    most: int
    kind: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None


class RunsKey(NamedTuple):
    """The newest runs of an automation."""

    home: str
    entity_id: str
    most: int
    result: str | None


class WindowsKey(NamedTuple):
    """The past of an entity by windows of time (Unix, ns)."""

    home: str
    entity_id: str
    since_ns: int
    until_ns: int
    window_ns: int
    aggregates: tuple[Aggregate, ...]
    fill: Fill


class Loaders:
    """What one question has asked so far."""

    ask: Asks

    def __init__(self) -> None:
        self._made: dict[str, DataLoader[Any, Any]] = {}
        #: Now, the same for all of a question: what is asked up to now is one question then.
        self.now_ns = time.time_ns()

    def _loader(self, name: str, load: Callable[[list[Any]], Awaitable[Sequence[Any]]]) -> DataLoader[Any, Any]:
        # Made when it is first asked: a loader belongs to the loop that runs then.
        if name not in self._made:
            self._made[name] = DataLoader(load_fn=load)
        return self._made[name]

    async def objects(self, home: str, kind: str, at_us: int | None = None) -> Objects:
        """Return the objects of a kind by id."""
        found: Objects = await self._loader("objects", self._objects).load(ObjectsKey(home, kind, at_us))
        return found

    async def histories(self, home: str, kind: str, key: str) -> list[Held]:
        """Return what an object was, oldest first."""
        found: list[Held] = await self._loader("histories", self._histories).load((home, kind, key))
        return found

    async def series(self, home: str, entity_id: str) -> str:
        """Return what an entity of today is stored as."""
        return str(await self._loader("series", self._series).load((home, entity_id)))

    async def several_series(self, home: str, entity_ids: Sequence[str]) -> tuple[str, ...]:
        """Return what entities of today are stored as."""
        keys = [(home, one) for one in entity_ids]
        return tuple(sorted(set(await self._loader("series", self._series).load_many(keys))))

    async def events(self, key: EventsKey) -> list[StoredEvent]:
        """Return the newest events of some series, newest first."""
        found: list[StoredEvent] = await self._loader("events", self._events).load(key)
        return found

    async def runs(self, key: RunsKey) -> tuple[list[Any], KnownRuns]:
        """Return the newest runs of an automation, newest first, and how they are called."""
        found: tuple[list[Any], KnownRuns] = await self._loader("runs", self._runs).load(key)
        return found

    async def windows(self, key: WindowsKey) -> list[dict[str, Any]]:
        """Return the past of an entity by windows of time."""
        found: list[dict[str, Any]] = await self._loader("windows", self._windows).load(key)
        return found

    async def graph(self, home: str) -> HomeGraph:
        """Return the graph of a home."""
        found: HomeGraph = await self._loader("graph", self._graphs).load(home)
        return found

    # -- how they ask --------------------------------------------------------------------------------------

    async def _objects(self, keys: list[ObjectsKey]) -> list[Objects]:
        def read() -> list[Objects]:
            then = objects_of(self.ask.means)
            return [
                self.ask.objects.now(key.home, key.kind)
                if key.at_us is None
                else then.load(key.home, key.kind, key.at_us).get(key.kind, {})
                for key in keys
            ]

        return await self.ask.other(read)

    async def _histories(self, keys: list[tuple[str, str, str]]) -> list[list[Held]]:
        def read() -> list[list[Held]]:
            kept = objects_of(self.ask.means)
            kinds = _grouped(keys, lambda key: key[:2])
            found = {kind: kept.histories(*kind, [key for _, _, key in group]) for kind, group in kinds.items()}
            return [found[key[:2]][key[2]] for key in keys]

        return await self.ask.other(read)

    async def _series(self, keys: list[tuple[str, str]]) -> list[str]:
        def read() -> list[str]:
            history = MapHistory(self.ask.means.metadata())
            homes = _grouped(keys, lambda key: key[0])
            known = {home: history.series_now(home, [one for _, one in of_it]) for home, of_it in homes.items()}
            return [known[home].get(entity_id, entity_id) for home, entity_id in keys]

        return await self.ask.other(read)

    async def _events(self, keys: list[EventsKey]) -> list[list[StoredEvent]]:
        asked = _grouped(keys, lambda key: key._replace(series=()))

        def read(store: Store) -> list[list[StoredEvent]]:
            found = {one: several for group in asked.values() for one, several in _newest(store, group).items()}
            return [found[key] for key in keys]

        return await self.ask.store(read)

    async def _runs(self, keys: list[RunsKey]) -> list[tuple[list[Any], KnownRuns]]:
        def read() -> list[tuple[list[Any], KnownRuns]]:
            found: dict[RunsKey, tuple[list[Any], KnownRuns]] = {}
            for (home, most, result), group in _grouped(keys, lambda key: (key.home, key.most, key.result)).items():
                known = open_runs(self.ask.means.settings, self.ask.means.metadata(), home)
                items = {entity_id: item for item, entity_id in known.entity_ids.items()}
                chosen = {key: items[key.entity_id] for key in group if key.entity_id in items}
                runs = _grouped(known.kept.newest_of_each(home, chosen.values(), most, result), lambda run: run.item)
                found.update({key: (runs.get(chosen[key], []) if key in chosen else [], known) for key in group})
            return [found[key] for key in keys]

        return await self.ask.other(read)

    async def _windows(self, keys: list[WindowsKey]) -> list[list[dict[str, Any]]]:
        named = [(key.home, key.entity_id) for key in keys]
        series = dict(zip(named, await self._loader("series", self._series).load_many(named), strict=True))
        asked = _grouped(keys, lambda key: key._replace(entity_id=""))

        def read(store: Store) -> list[list[dict[str, Any]]]:
            found: dict[WindowsKey, list[dict[str, Any]]] = {key: [] for key in keys}
            for group, several in asked.items():
                of = {key.entity_id: key for key in several}
                names = {entity_id: series[key.home, entity_id] for entity_id, key in of.items()}
                for row in history_rows(store, HistoryAsked(group.home, names, *group[2:], now_ns=self.now_ns)):
                    found[of[row["entity_id"]]].append(row)
            return [found[key] for key in keys]

        return await self.ask.store(read)

    async def _graphs(self, homes: list[str]) -> list[HomeGraph]:
        return await self.ask.other(lambda: [self.ask.graphs.of(home) for home in homes])


def _newest(store: Store, keys: Sequence[EventsKey]) -> dict[EventsKey, list[StoredEvent]]:
    """Return the newest events of several lists that ask for the same, by one question."""
    first = keys[0]
    series = tuple(sorted({one for key in keys for one in key.series}))
    if not series:
        return {key: [] for key in keys}
    _, _, most, kind, since_ns, until_ns = first
    asked = EventQuery(home=first.home, kind=kind, since_ns=since_ns, until_ns=until_ns, series=series, limit=most)
    if len(keys) == 1:
        return {first: list(store.read(asked))}
    if len(series) * most > MOST_EVENTS:
        raise errors.Unanswerable(
            f"the newest {most} events of {len(series):,} entities are more than {MOST_EVENTS:,}: "
            "ask for fewer of each, or for fewer entities"
        )
    of_series: dict[str, list[StoredEvent]] = defaultdict(list)
    for event in store.read(replace(asked, limit=MOST_EVENTS, each=most)):
        for name in names_of(event):
            of_series[name].append(event)
    return {key: _first_of(key, of_series, asked) for key in keys}


def _first_of(key: EventsKey, found: Mapping[str, list[StoredEvent]], query: EventQuery) -> list[StoredEvent]:
    events = {id(event): event for one in key.series for event in found.get(one, ())}
    return in_order(events.values(), query)[: key.most]


def _grouped(items: Sequence[T], by: Callable[[T], K]) -> dict[K, list[T]]:
    found: dict[K, list[T]] = defaultdict(list)
    for one in items:
        found[by(one)].append(one)
    return found
