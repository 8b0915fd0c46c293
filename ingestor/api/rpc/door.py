"""The door of gRPC: who calls, by the key in the metadata; the rule is that of HTTP, asked before anything is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import grpc
from starlette.datastructures import Headers

from ingestor import errors
from ingestor.api.callers import Callers
from ingestor.api.rpc.faults import abort
from ingestor.security.access import ANONYMOUS, Action, Principal, authorize

#: Whoever watches over us must not need a secret for it.
_OPEN: Final = "/grpc.health.v1.Health/"


class Door(grpc.aio.ServerInterceptor):  # type: ignore[misc] # it comes without types
    """Lets in who has the key; of others only what is open."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """Return what answers a call: for who may not call, what says so."""
        action = Action.READ_HEALTH if details.method.startswith(_OPEN) else Action.READ_DATA
        try:
            authorize(await self.principal(details.invocation_metadata), action)
        except errors.IngestorError as error:
            handler = await continuation(details)
            return None if handler is None else _refusal(handler, error)
        return await continuation(details)

    async def principal(self, metadata: Sequence[tuple[str, str | bytes]] | None) -> Principal:
        """Return who calls."""
        shown = [(key, value) for key, value in metadata or () if key in ("authorization", "x-api-key")]
        if not shown:
            return ANONYMOUS
        raw = [(key.encode(), value if isinstance(value, bytes) else value.encode()) for key, value in shown]
        return await self._callers.of(Headers(raw=raw), "", None)


def _refusal(handler: Any, error: errors.IngestorError) -> Any:
    async def refuse(_: Any, context: Any) -> None:
        await abort(context, error)

    made = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[handler.request_streaming, handler.response_streaming]
    return made(refuse, handler.request_deserializer, handler.response_serializer)
