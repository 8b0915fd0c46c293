"""GraphQL over HTTP and WebSockets. Serves no page of its own.

Over HTTP only by POST of JSON, so that no page elsewhere can ask; subscriptions by `graphql-transport-ws` alone. Who
likes `application/graphql-response+json` best is answered in it (GraphQL over HTTP): what could not be begun has no
`data` and a status as in REST. Anybody else gets `application/json`, where that is a 200, as clients are used to.
"""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta
from typing import Any, Final

import orjson
from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from ingestor.api.accepting import likes_better
from ingestor.api.graphql.context import Context, context_of
from ingestor.api.graphql.schema import Graph
from ingestor.api.graphql.wire import MAX_OPERATIONS, Handler, Wire
from ingestor.api.problems import problem_answer, status_of

_NOT_TAKEN: Final = "NaN, a number beyond all bounds, half a surrogate pair, or a byte order mark"
#: How long a client may take until it says that it begins.
_INIT_WITHIN: Final = timedelta(seconds=10)
_JSON: Final = "application/json"
_GRAPHQL: Final = "application/graphql-response+json"
_NO_QUESTION: Final = 400
#: How an answer begins that tells of nothing but failures; others, which may be large, are not read again.
_WITHOUT_DATA: Final = b'{"data":null'


class View(GraphQL[Context, None]):
    """The schema, served."""

    websocket_adapter_class = Wire
    graphql_transport_ws_handler_class = Handler

    def __init__(self, graph: Graph) -> None:
        super().__init__(
            graph,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=_INIT_WITHIN,
            max_subscriptions_per_connection=MAX_OPERATIONS,
        )
        self.graph = graph

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; one that is no question is a problem as everywhere."""
        if scope["type"] == "websocket":
            with contextlib.suppress(WebSocketDisconnected):
                await self.run(WebSocket(scope, receive, send))
            return
        request = Request(scope, receive)
        try:
            answer = _in_form(await self.run(request), request)
        except HTTPException as error:
            name = "malformed-json" if isinstance(error.__cause__, ValueError) else "invalid"
            answer = problem_answer(scope, error.status_code, name, error.reason)
        await answer(scope, receive, send)

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        """Return who asks, and by which means."""
        del response
        return context_of(request.scope, request.app.state)

    def is_websocket_origin_allowed(self, request: WebSocket, origin: str) -> bool:
        """Let any in: the door has looked at where they come from."""
        del request, origin
        return True

    def parse_json(self, data: str | bytes) -> Any:
        """Return a body as it was sent. Raises HTTPException: what is no object is no question."""
        try:
            found = super().parse_json(data)
        except HTTPException:
            if _is_json_elsewhere(data):
                raise HTTPException(422, f"the body has what cannot be taken: {_NOT_TAKEN}") from None
            raise
        if not isinstance(found, (dict, list)):
            raise HTTPException(400, "a question is a JSON object with `query`")
        return found

    def decode_json(self, data: str | bytes) -> object:
        """Read JSON."""
        return orjson.loads(data)

    def encode_json(self, data: Any) -> str:
        """Write JSON, as text, which a WebSocket tells from bytes; what is no number there is null."""
        return orjson.dumps(data).decode()


def _in_form(answer: Response, request: Request) -> Response:
    """Return an answer in the form that whoever asks likes best."""
    if not likes_better(request, _GRAPHQL, than=_JSON):
        return answer
    body = bytes(answer.body)
    told: dict[str, Any] = orjson.loads(body) if body.startswith(_WITHOUT_DATA) else {}
    faults = told.get("errors", [])
    if not faults or any("path" in one for one in faults):  # it was begun
        return Response(body, answer.status_code, media_type=_GRAPHQL)
    del told["data"]
    status = status_of(faults[0]["extensions"]["code"]) or _NO_QUESTION
    return Response(orjson.dumps(told), status, media_type=_GRAPHQL)


def _is_json_elsewhere(data: str | bytes) -> bool:
    """Tell whether REST takes this for JSON, and so calls it invalid, not malformed: NaN, or half a surrogate pair."""
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
