"""A gRPC client that knows nothing of ours: it learns the service by reflection, as grpcurl does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.integration.api_bench import KEY

SERVICE = "ha_ingestor.v1.Ingestor"
KEY_SHOWN = (("authorization", f"Bearer {KEY}"),)
Metadata = tuple[tuple[str, str], ...]


class Client:
    """Calls methods by their names, with requests and answers as JSON objects."""

    def __init__(self, channel: grpc.Channel, metadata: Metadata = KEY_SHOWN) -> None:
        self.channel = channel
        self._metadata = metadata
        self.database = ProtoReflectionDescriptorDatabase(grpc.intercept_channel(channel, _Shows(metadata)))
        self._pool = descriptor_pool.DescriptorPool(self.database)

    def call(self, method: str, timeout: float | None = 60, metadata: Metadata | None = None, **request: Any) -> Any:
        """Return the call: an iterator of messages, or one message."""
        found = self._pool.FindServiceByName(SERVICE).methods_by_name[method]
        asked = json_format.ParseDict(request, message_factory.GetMessageClass(found.input_type)())
        made = self.channel.unary_stream if found.server_streaming else self.channel.unary_unary
        ask = made(
            f"/{SERVICE}/{method}",
            request_serializer=lambda one: one.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(found.output_type).FromString,
        )
        return ask(asked, timeout=timeout, metadata=self._metadata if metadata is None else metadata)

    def one(self, method: str, **request: Any) -> dict[str, Any]:
        """Return the answer of a call that has one."""
        return as_json(self.call(method, **request))

    def all(self, method: str, **request: Any) -> Iterator[dict[str, Any]]:
        """Yield the answers of a call that has many."""
        return (as_json(one) for one in self.call(method, **request))


def as_json(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return found


class _Shows(grpc.StreamStreamClientInterceptor):  # type: ignore[misc] # it comes without types
    """Shows the key also where reflection is asked."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return continuation(details._replace(metadata=[*(details.metadata or ()), *self._metadata]), requests)
