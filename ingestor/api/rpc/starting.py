"""Starts gRPC where it is wanted. What it needs is loaded then: 15 MB that few processes need."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import State

from ingestor.api.health import HealthWatch
from ingestor.security.keys import Keyring
from ingestor.settings import Settings


@asynccontextmanager
async def grpc_served(settings: Settings, keys: Keyring, state: State, health: HealthWatch) -> AsyncIterator[None]:
    """Serve gRPC meanwhile, where it is wanted (`state.grpc`). Raises InvalidSettings."""
    state.grpc = None
    if not settings.grpc.enabled:
        yield
        return
    from ingestor.api.rpc.server import GrpcServer  # noqa: PLC0415 -- see above

    state.grpc = GrpcServer(settings.grpc, keys, state, lambda: health.read().ready)
    await state.grpc.start()
    try:
        yield
    finally:
        await state.grpc.stop()
