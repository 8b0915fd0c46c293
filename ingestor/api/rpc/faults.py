"""Failures as gRPC tells them: a status code, a sentence, and details by which a program tells them apart."""

from __future__ import annotations

from typing import Any, Final

import grpc
import structlog
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from pydantic import ValidationError

from ingestor import errors
from ingestor.api.problems import name_of

_DOMAIN: Final = "ha-ingestor"
_HIDDEN: Final = "something went wrong here; our log says what"
_RETRY_S: Final = 2.0
#: By the names that REST has in `type`.
_CODES: Final = {
    "invalid": grpc.StatusCode.INVALID_ARGUMENT,
    "unanswerable": grpc.StatusCode.INVALID_ARGUMENT,
    "not-found": grpc.StatusCode.NOT_FOUND,
    "key-needed": grpc.StatusCode.UNAUTHENTICATED,
    "not-allowed": grpc.StatusCode.PERMISSION_DENIED,
    "overloaded": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "took-too-long": grpc.StatusCode.DEADLINE_EXCEEDED,
    "unavailable": grpc.StatusCode.UNAVAILABLE,
    "conflict": grpc.StatusCode.ABORTED,
    "store-refused": grpc.StatusCode.FAILED_PRECONDITION,
}
_STATUS_KEY: Final = "grpc-status-details-bin"
_log: Final = structlog.get_logger(__name__)


async def abort(context: Any, error: Exception) -> None:
    """End a call with what was raised. Raises, always: so gRPC has it."""
    name, message, details = _told(error)
    code = _CODES.get(name, grpc.StatusCode.INTERNAL)
    status = status_pb2.Status(code=code.value[0], message=message, details=[_packed(one) for one in details])
    await context.abort(code, message, ((_STATUS_KEY, status.SerializeToString()),))


def _told(error: Exception) -> tuple[str, str, list[Any]]:
    """Return the name of a failure, a sentence, and its details; what nobody foresaw is logged and hidden."""
    if isinstance(error, ValidationError):
        faults = [(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors(include_input=False)]
        violations = [_Violation(field=field, description=what) for field, what in faults]
        sentence = "; ".join(f"{field}: {what}" for field, what in faults[:5])
        return "invalid", sentence, [_info("invalid"), error_details_pb2.BadRequest(field_violations=violations)]
    name = name_of(error)
    if name is None:
        _log.error("call_failed", exc_info=error)
        return "failed", _HIDDEN, [_info("failed")]
    details: list[Any] = [_info(name)]
    if isinstance(error, errors.Transient):
        seconds = error.retry_after_s or _RETRY_S
        details.append(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=0, seconds=round(seconds))))
    return name, str(error), details


_Violation: Final = error_details_pb2.BadRequest.FieldViolation


def _info(name: str) -> Any:
    return error_details_pb2.ErrorInfo(reason=name, domain=_DOMAIN)


def _packed(detail: Any) -> Any:
    found = any_pb2.Any()
    found.Pack(detail)
    return found
