"""Who asks, and by which means; every question that blocks goes through here. Knows no type of the schema."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from starlette.datastructures import State
from strawberry.types import Info

from ingestor.api.gate import principal_of
from ingestor.api.graphql.loaders import Loaders
from ingestor.api.graphs import Graphs
from ingestor.api.means import Means
from ingestor.api.objects import Objects
from ingestor.reading.homes import home_name
from ingestor.security.access import Action, Principal, Scope, authorize
from ingestor.storage.port import Store

T = TypeVar("T")


@dataclass
class Context:
    """What a question is answered with. `loop` is the server's, where turns at store and database are waited for."""

    principal: Principal
    request_id: str
    state: State
    loop: asyncio.AbstractEventLoop
    #: What this one question has asked already; none while nothing is asked.
    loaders: Loaders = field(default_factory=Loaders)

    @property
    def means(self) -> Means:
        """The means of the application."""
        found: Means = self.state.means
        return found

    @property
    def objects(self) -> Objects:
        """The objects of the homes as they are; to be asked in a thread."""
        found: Objects = self.state.objects
        return found

    @property
    def graphs(self) -> Graphs:
        """The graphs of the homes; to be asked in a thread."""
        found: Graphs = self.state.graphs
        return found

    def for_one_question(self) -> Context:
        """Return it with nothing asked yet: a connection has many questions."""
        found = replace(self, loaders=Loaders())
        found.loaders.ask = found
        return found

    def home(self, name: str | None) -> str:
        """Return the home that is meant, which whoever asks may read. Raises NotFound, NotAllowed."""
        self.allow(name)
        found = home_name(self.means.settings, name)
        self.allow(found)
        return found

    def past_home(self, name: str | None) -> str:
        """Return the home that is meant, which may have been taken out of the settings. Raises NotAllowed."""
        self.allow(name)
        found = home_name(self.means.settings, None) if name is None else name
        self.allow(found)
        return found

    def allow(self, home: str | None) -> None:
        """Let pass who may read of this home (None: of all). Raises Unauthenticated, NotAllowed."""
        authorize(self.principal, Action.READ_DATA, Scope(home))

    async def store(self, ask: Callable[[Store], T]) -> T:
        """Return what the store answers."""
        return await self.there(self.means.store(ask))

    async def other(self, ask: Callable[[], T]) -> T:
        """Return what anything else that blocks answers."""
        return await self.there(self.means.other(ask))

    async def there(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine comes to on the server's own loop."""
        if asyncio.get_running_loop() is self.loop:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))


def context_of(scope: Any, state: State) -> Context:
    """Return the context of a request."""
    request_id = str(scope.get("state", {}).get("request_id", ""))
    return Context(principal_of(scope), request_id, state, asyncio.get_running_loop())


#: What a resolver is given.
Asked = Info[Context, None]
