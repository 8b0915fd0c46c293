"""Requests as they come: what is no message is refused by name.

gRPC's own way ends such a call as UNKNOWN and writes a traceback, also where whoever calls needs no key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from ingestor import errors
from ingestor.api.rpc.faults import abort


class Received(grpc.aio.ServerInterceptor):  # type: ignore[misc] # it comes without types
    """Reads the request of each call that has one."""

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """Return what answers a call, by the bytes of its request."""
        handler = await continuation(details)
        if handler is None or handler.request_streaming:
            return handler
        streams = handler.response_streaming
        serve = handler.unary_stream if streams else handler.unary_unary

        async def handle(raw: bytes, context: Any) -> Any:
            try:
                request = read(handler.request_deserializer, raw)
            except errors.Rejected as error:
                await abort(context, error)
            return await serve(request, context)

        made = grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
        return made(handle, None, handler.response_serializer)


def read(deserializer: Callable[[bytes], Any], raw: bytes) -> Any:
    """Return a request. Raises Rejected where it is none."""
    try:
        return deserializer(raw)
    except DecodeError:
        raise errors.Rejected("invalid_request", "it is no message of this method") from None
