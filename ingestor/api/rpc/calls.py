"""How a call is served: its failures get a status, and its work ends when whoever called has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
from pydantic import ValidationError

from ingestor import errors
from ingestor.api.rpc.faults import abort
from ingestor.storage.ending import asker

#: How long whoever called may take for one message (s): who takes nothing any more holds what others wait for.
SLOWEST_S: Final = 60.0
Serve = Callable[[Any, Any], Awaitable[Any]]


class Call:
    """A call as it is served: what is sent goes through here."""

    def __init__(self, context: Any) -> None:
        self._context = context

    @property
    def metadata(self) -> Any:
        """What came with the request."""
        return self._context.invocation_metadata()

    async def send(self, message: Any) -> None:
        """Send a message, as soon as whoever called takes it. Raises Overloaded where they do not."""
        try:
            async with asyncio.timeout(SLOWEST_S):
                await self._context.write(message)
        except TimeoutError:
            raise errors.Overloaded(f"nothing was taken for {SLOWEST_S:g} s") from None


def served(serve: Callable[[Any, Call], Awaitable[Any]]) -> Serve:
    """Return a handler for gRPC. What is cancelled there is cancelled here with care for threads that still run."""

    async def handle(request: Any, context: Any) -> Any:
        try:
            return await _to_its_end(serve(request, Call(context)))
        except (errors.IngestorError, ValidationError) as error:
            await abort(context, error)
        except Exception as error:  # noqa: BLE001 -- whatever it was, whoever called gets a status
            await abort(context, error)
        return None

    return handle


async def _to_its_end(work: Awaitable[Any]) -> Any:
    """Return what the work comes to; where whoever asked has gone, end it, and wait until it has ended.

    gRPC cancels the task of a call at once. What waits for a thread must wait for its end: the thread has a store.
    """
    with asker() as gone:
        scope = anyio.CancelScope()
        task = asyncio.ensure_future(_within(scope, work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            gone.set()
            scope.cancel()
            await asyncio.wait({task})
            raise


async def _within(scope: anyio.CancelScope, work: Awaitable[Any]) -> Any:
    with scope:
        return await work
