"""`graphql-transport-ws` as we serve it: what is no message of it ends the connection with a sentence, not with us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from starlette.websockets import WebSocketDisconnect
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler

from ingestor.api.graphql.context import Context
from ingestor.live.pacing import Pace

#: Messages that a client may send in a second, and operations that may run at once on a connection.
MAX_MESSAGES_PER_S: Final = 50
MAX_OPERATIONS: Final = 20
_POLICY: Final = 1008


class Wire(ASGIWebSocketAdapter):
    """A connection. Who is gone, or was told to go, is no failure of ours."""

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send a message, as soon as the client takes it."""
        try:
            await super().send_json(message)
        except RuntimeError as error:  # it was closed from here
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        """Close it, if it is not."""
        try:
            await super().close(code, reason[:120])
        except (RuntimeError, WebSocketDisconnect) as error:
            raise WebSocketDisconnected from error


class Handler(BaseGraphQLTransportWSHandler[Context, None]):
    """Takes the messages of one client."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._pace = Pace(max_per_s=MAX_MESSAGES_PER_S)

    async def handle_message(self, message: Any) -> None:
        """Take one message."""
        if not self._pace.select([b""]):
            await self.websocket.close(_POLICY, f"at most {MAX_MESSAGES_PER_S} messages a second")
        elif fault := _fault(message):
            await self.handle_invalid_message(fault)
        else:
            await super().handle_message(message)


class _Message(msgspec.Struct):
    type: str


class _Payload(msgspec.Struct, rename="camel"):
    query: Annotated[str, msgspec.Meta(min_length=1)]
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


class _Subscribe(msgspec.Struct):
    id: str
    payload: _Payload


class _Complete(msgspec.Struct):
    id: str


_FORMS: Final[dict[str, Any]] = {"subscribe": _Subscribe, "complete": _Complete}


def _fault(message: Any) -> str:
    """Say what is wrong with the form of a message; nothing where it is in order."""
    try:
        kind = msgspec.convert(message, _Message).type
        msgspec.convert(message, _FORMS.get(kind, _Message))
    except msgspec.ValidationError as error:
        return str(error)
    return ""
