"""The schema put together, with its limits; answers each question beside the loop that serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterable
from typing import Any, Final

import strawberry
from graphql import GraphQLError, get_operation_ast, parse
from graphql import OperationType as GraphQLOperationType
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.schema.schema import StreamResult
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.graphql import OperationType

from ingestor import errors
from ingestor.api.graphql.context import Context
from ingestor.api.graphql.faults import Faults, log_unforeseen
from ingestor.api.graphql.limits import MAX_TOKENS, Limits
from ingestor.api.graphql.named import Named
from ingestor.api.graphql.query import Query
from ingestor.api.graphql.scalars import SCALARS
from ingestor.api.graphql.side_loop import SideLoop
from ingestor.api.graphql.subscription import Subscription
from ingestor.settings_graphql import GraphQLSettings
from ingestor.storage.ending import asker

#: Questions that are put together at once: each may hold some ten megabytes.
_AT_ONCE: Final = 8
_NEEDS_WEBSOCKET: Final = "a subscription needs a WebSocket at this address (graphql-transport-ws)"


class Graph(strawberry.Schema):
    """The schema of one application."""

    def __init__(self, limits: GraphQLSettings, *, timeout_s: float) -> None:
        super().__init__(
            query=Query,
            subscription=Subscription,
            config=StrawberryConfig(scalar_map=SCALARS),
            extensions=[lambda: Limits(max_depth=limits.max_depth, max_cost=limits.max_cost), Named, Faults],
        )
        self._timeout_s = timeout_s
        self._beside = SideLoop()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def execute(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any = None,
        root_value: Any = None,
        operation_name: str | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult:
        """Answer a question, or say why not; a subscription is none, and has no answer but a stream."""
        assert isinstance(context_value, Context)  # noqa: S101 -- made by the view
        context = context_value.for_one_question()
        allowed = set(allowed_operation_types or OperationType) - {OperationType.SUBSCRIPTION}
        asked = (query, variable_values, context, root_value, operation_name, allowed)
        with asker() as gone:
            try:
                async with asyncio.timeout(self._timeout_s), self._turns:
                    return await self._beside.run(super().execute(*asked, operation_extensions))
            except TimeoutError:
                return _fault("took-too-long", str(errors.TookTooLong()), context.request_id)
            except InvalidOperationTypeError as error:
                if error.operation_type is not OperationType.SUBSCRIPTION:
                    raise
                return _fault("invalid", _NEEDS_WEBSOCKET, context.request_id)
            finally:
                gone.set()  # what it had asked and nobody waits for any more

    async def stream(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any = None,
        root_value: Any = None,
        operation_name: str | None = None,
        operation_extensions: dict[str, Any] | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
    ) -> StreamResult:
        """Answer whatever comes over a WebSocket: what is no subscription as over HTTP, beside the loop that serves."""
        asked = (query, variable_values, context_value, root_value, operation_name)
        if _is_subscription(query, operation_name):
            return await super().stream(*asked, operation_extensions, allowed_operation_types)
        return self._once(self.execute(*asked, allowed_operation_types, operation_extensions))

    async def _once(self, answer: Awaitable[ExecutionResult]) -> AsyncGenerator[ExecutionResult, None]:
        yield await answer

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Note what nobody foresaw; all else is the matter of whoever asks."""
        context = execution_context.context if execution_context else None
        log_unforeseen(errors, str(getattr(context, "request_id", "")))

    async def close(self) -> None:
        """End what still runs."""
        await self._beside.close()


def _is_subscription(query: str | None, operation_name: str | None) -> bool:
    """Tell whether this is one, or is in no order: then it is told so where subscriptions are."""
    try:
        found = get_operation_ast(parse(query or "", max_tokens=MAX_TOKENS, no_location=True), operation_name)
    except GraphQLError:
        return True
    return found is None or found.operation == GraphQLOperationType.SUBSCRIPTION


def _fault(code: str, message: str, request_id: str) -> ExecutionResult:
    more = {"code": code, "requestId": request_id}
    return ExecutionResult(data=None, errors=[GraphQLError(message, extensions=more)])


def sdl() -> str:
    """Return the schema in GraphQL's own language."""
    return Graph(GraphQLSettings(), timeout_s=1.0).as_str()
