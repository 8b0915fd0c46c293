"""GraphQL over HTTP: only by POST of JSON, so that no page elsewhere can ask. Serves no page of its own."""

from __future__ import annotations

from typing import Any

import orjson
from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from ingestor.api.graphql.context import Context, context_of
from ingestor.api.graphql.schema import Graph
from ingestor.api.problems import problem_answer


class View(GraphQL[Context, None]):
    """The schema, served."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(
            graph,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
        )
        self.graph = graph

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; one that is no question is a problem as everywhere."""
        try:
            answer = await self.run(Request(scope, receive))
        except HTTPException as error:
            answer = problem_answer(scope, error.status_code, "invalid", error.reason)
        await answer(scope, receive, send)

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        """Return who asks, and by which means."""
        del response
        return context_of(request.scope, request.app.state)

    def decode_json(self, data: str | bytes) -> object:
        """Read JSON."""
        return orjson.loads(data)

    def encode_json(self, data: Any) -> str | bytes:
        """Write JSON; what is no number there is null."""
        return orjson.dumps(data)
