"""Failures as GraphQL tells them: each with a code, named as in REST's problems; what nobody foresaw is hidden."""

from __future__ import annotations

from typing import Any, Final

import structlog
from graphql import GraphQLError
from pydantic import ValidationError
from strawberry.extensions import MaskErrors

from ingestor.api.problems import name_of

_HIDDEN: Final = "something went wrong here; our log says what, by the request id"
_log: Final = structlog.get_logger(__name__)


def told(error: GraphQLError, request_id: str = "") -> GraphQLError:
    """Return a failure with its code; GraphQL's own (a field that there is not) are `invalid`."""
    cause = error.original_error
    if cause is None:
        code, message = (error.extensions or {}).get("code", "invalid"), error.message
    elif isinstance(cause, ValidationError):
        code, message = "invalid", _sentence(cause)
    elif name := name_of(cause):
        code, message = name, str(cause)
    elif isinstance(cause, GraphQLError):
        code, message = "invalid", error.message
    else:
        code, message = "failed", _HIDDEN
    more: dict[str, Any] = {"code": code, **({"requestId": request_id} if request_id else {})}
    return GraphQLError(message, error.nodes, error.source, error.positions, error.path, None, more)


def _sentence(error: ValidationError) -> str:
    """Say what is wrong with which part; never the value, which may be a secret."""
    faults = [(".".join(map(str, one["loc"])) or "filter", one["msg"]) for one in error.errors(include_input=False)]
    return "; ".join(f"{where}: {what}" for where, what in faults[:5])


def log_unforeseen(errors: list[GraphQLError], request_id: str) -> None:
    """Note in our log what is hidden from whoever asked."""
    for error in errors:
        cause = error.original_error
        if cause is not None and told(error).extensions == {"code": "failed"}:
            _log.error("graphql_failed", exc_info=cause, path=error.path, asked_as=request_id)


class Faults(MaskErrors):
    """Gives every failure its code."""

    def __init__(self) -> None:
        super().__init__()

    def _process_errors(self, errors: list[GraphQLError]) -> list[GraphQLError]:
        request_id = str(getattr(self.execution_context.context, "request_id", ""))
        return [told(error, request_id) for error in errors]
