"""Requests as they come: what is no message, or has a value that no enum has, is refused by name.

gRPC's own way ends what is no message as UNKNOWN and writes a traceback, also where whoever calls needs no key. And
Protobuf lets through values of enums that our schema does not have: a filter that we do not know would be left out.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError, Message
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from ingestor import errors
from ingestor.api.rpc.faults import abort

#: Faults of one request that are told.
_MOST_FAULTS: Final = 5
Where = tuple[str | int, ...]


class Received(grpc.aio.ServerInterceptor):  # type: ignore[misc] # it comes without types
    """Reads the requests of each call."""

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """Return what answers a call, by the bytes of its request."""
        handler = await continuation(details)
        if handler is None:
            return None
        if handler.request_streaming:
            return _each_read(handler)
        streams = handler.response_streaming
        serve = handler.unary_stream if streams else handler.unary_unary

        async def handle(raw: bytes, context: Any) -> Any:
            try:
                request = read(handler.request_deserializer, raw)
            except (errors.Rejected, ValidationError) as error:
                await abort(context, error)
            return await serve(request, context)

        made = grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
        return made(handle, None, handler.response_serializer)


def _each_read(handler: Any) -> Any:
    """Return what answers a call with many requests, as reflection has: each is read when it is asked for."""
    if not handler.response_streaming:
        return handler  # there is none of this kind

    async def requests_of(stream: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for raw in stream:
            yield read(handler.request_deserializer, raw)

    async def handle(stream: AsyncIterator[bytes], context: Any) -> AsyncIterator[Any]:
        try:
            async for answer in handler.stream_stream(requests_of(stream), context):
                yield answer
        except (errors.Rejected, ValidationError) as error:
            await abort(context, error)

    return grpc.stream_stream_rpc_method_handler(handle, None, handler.response_serializer)


def read(deserializer: Callable[[bytes], Any], raw: bytes) -> Any:
    """Return a request. Raises Rejected where it is none, ValidationError where an enum has no such value."""
    try:
        request = deserializer(raw)
    except DecodeError:
        raise errors.Rejected("invalid_request", "it is no message of this method") from None
    if faults := list(itertools.islice(_unknown(request, ()), _MOST_FAULTS)):
        raise ValidationError.from_exception_data(request.DESCRIPTOR.name, faults)
    return request


def _unknown(message: Any, where: Where) -> Iterator[InitErrorDetails]:
    """Yield what is wrong with each value of an enum that does not have it."""
    for field, value in message.ListFields():
        here = (*where, field.name)
        if field.enum_type is not None:
            kind = field.enum_type
            places = [(here, value)] if isinstance(value, int) else [((*here, at), one) for at, one in enumerate(value)]
            yield from (_fault(place, one, kind.name) for place, one in places if one not in kind.values_by_number)
        elif isinstance(value, Message):  # no request has lists of messages
            yield from _unknown(value, here)


def _fault(where: Where, number: int, name: str) -> InitErrorDetails:
    said = PydanticCustomError("enum", "{number} is no {name}", {"number": number, "name": name})
    return InitErrorDetails(type=said, loc=where, input=number)
