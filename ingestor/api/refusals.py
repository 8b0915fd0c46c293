"""How a WebSocket is refused before it is one: told why as by HTTP, where the server can say that."""

from __future__ import annotations

from typing import Final

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from ingestor import errors
from ingestor.api.problems import answer_to

_POLICY_VIOLATION: Final = 1008
#: ASGI's name for an answer to who asked for a WebSocket; without it every refusal is a bare 403.
_CAN_ANSWER: Final = "websocket.http.response"


async def refuse_socket(scope: Scope, receive: Receive, send: Send, error: Exception) -> None:
    """Refuse a WebSocket that was not accepted yet, as a problem (RFC 9457) with the status that HTTP has for it."""
    if _CAN_ANSWER not in scope.get("extensions", {}):
        reason = str(error) if isinstance(error, errors.IngestorError) else "something went wrong here"
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": reason[:120]})
        return
    answer = answer_to(scope, error)
    answer.headers["X-Request-ID"] = str(scope.get("state", {}).get("request_id", ""))
    answer.headers["Cache-Control"] = "no-store"
    await answer(scope, receive, send)


async def refuse_unknown(socket: WebSocket) -> None:
    """Refuse a WebSocket at a path where there is none; the route behind all others."""
    error = errors.NotFound("there is no WebSocket at this path")
    await refuse_socket(socket.scope, socket.receive, socket.send, error)
