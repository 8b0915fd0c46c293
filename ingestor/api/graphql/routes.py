"""Where GraphQL is found. What it needs is loaded when somebody asks: 10 MB that few processes need."""
# ruff: noqa: PLC0415 -- see above

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from ingestor import errors
from ingestor.api.refusals import refuse_socket
from ingestor.settings import Settings

if TYPE_CHECKING:
    from ingestor.api.graphql.view import View

PATHS: Final = ("/graphql", "/api/v1/graphql")


class GraphQLDoor:
    """An ASGI application that stands where GraphQL will be."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._view: View | None = None
        self._opening = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or say that GraphQL is switched off."""
        if not self._settings.graphql.enabled:
            await self._refuse(scope, receive, send)
            return
        if self._view is None:
            async with self._opening:  # takes a quarter of a second: not on the loop
                self._view = await asyncio.to_thread(self.open)
        await self._view(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = errors.NotFound("GraphQL is switched off (graphql.enabled)")
        if scope["type"] != "websocket":
            raise error
        await refuse_socket(scope, receive, send, error)

    def open(self) -> View:
        """Return what answers; blocks at the first time."""
        if self._view is None:
            from ingestor.api.graphql.schema import Graph
            from ingestor.api.graphql.view import View

            self._view = View(Graph(self._settings.graphql, timeout_s=self._settings.api.timeout_s))
        return self._view

    async def close(self) -> None:
        """End what still runs."""
        if self._view is not None:
            await self._view.graph.close()


def add_graphql(app: FastAPI, settings: Settings) -> None:
    """Add GraphQL to an application; `app.state.graphql` is to be closed at its end."""
    door = app.state.graphql = GraphQLDoor(settings)
    for path in PATHS:
        app.router.routes.append(Route(path, door, methods=["POST"], include_in_schema=False))
        app.router.routes.append(WebSocketRoute(path, door))
