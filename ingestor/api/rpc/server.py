"""The gRPC server, in the process of the API: it shares the hub, the turns at the store and the key with HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ingestor import errors
from ingestor.api.callers import Callers
from ingestor.api.rpc import ingestor_pb2 as pb
from ingestor.api.rpc.calls import served
from ingestor.api.rpc.certificate import certificate_pair
from ingestor.api.rpc.door import Door
from ingestor.api.rpc.received import Received
from ingestor.api.rpc.service import Ingestor
from ingestor.security.keys import Keyring
from ingestor.settings_grpc import GrpcSettings

SERVICE: Final[str] = pb.DESCRIPTOR.services_by_name["Ingestor"].full_name
_MAX_REQUEST_BYTES: Final = 256 * 1024
_LOOK_EVERY_S: Final = 5.0
_GRACE_S: Final = 2.0
_STREAMS_OF_A_CONNECTION: Final = 100
#: Who is pinged and does not answer is gone; who pings more often than this is sent away.
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _MAX_REQUEST_BYTES),
    ("grpc.max_concurrent_streams", _STREAMS_OF_A_CONNECTION),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 3),
    # Two of us on one port would each get some of the calls.
    ("grpc.so_reuseport", 0),
)
_log: Final = structlog.get_logger(__name__)


class GrpcServer:
    """The server, from its start to its end. `is_ready` says whether events can be read; it may block."""

    def __init__(self, settings: GrpcSettings, keys: Keyring, state: Any, is_ready: Callable[[], bool]) -> None:
        self._settings = settings
        self._is_ready = is_ready
        self._health = health.aio.HealthServicer()
        door = Door(Callers(keys))
        self._server = grpc.aio.server(
            interceptors=(door, Received()), options=_OPTIONS, maximum_concurrent_rpcs=settings.max_calls
        )
        self._server.add_generic_rpc_handlers((_handlers(Ingestor(state.means, state, door)),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self._looking: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen. Raises InvalidSettings where the address or the certificate cannot be used."""
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        address = f"{host}:{self._settings.port}"
        pair = certificate_pair(self._settings)
        credentials = None if pair is None else grpc.ssl_server_credentials((pair,))
        try:
            if credentials is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise errors.InvalidSettings(f"gRPC cannot listen on {address}: {error}") from error
        await self._server.start()
        self._looking = asyncio.create_task(self._look(), name="grpc-health")
        _log.info("grpc_listens", address=self._settings.host, port=self.port, tls=credentials is not None)

    async def stop(self) -> None:
        """Take no more calls, give those that run a moment, and end."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
        await self._health.enter_graceful_shutdown()
        await self._server.stop(_GRACE_S)

    async def _look(self) -> None:
        """Say by the health service how the service is."""
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        while True:
            ready = await asyncio.to_thread(self._is_ready)
            status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
            await self._health.set(SERVICE, status)
            await asyncio.sleep(_LOOK_EVERY_S)


def _handlers(service: Ingestor) -> Any:
    """Return the methods as the .proto file has them: each has a function of its name."""
    methods = {}
    for method in pb.DESCRIPTOR.services_by_name["Ingestor"].methods:
        serve = served(getattr(service, _snake(method.name)))
        made = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
        kinds = (getattr(pb, method.input_type.name), getattr(pb, method.output_type.name))
        methods[method.name] = made(serve, kinds[0].FromString, kinds[1].SerializeToString)
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def _snake(name: str) -> str:
    return "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in name).lstrip("_")
