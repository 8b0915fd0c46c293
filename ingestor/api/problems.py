"""Every failure as `application/problem+json` (RFC 9457): one shape for all, no answer without its request id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from ingestor import errors

MEDIA_TYPE: Final = "application/problem+json"
_TYPES: Final = "urn:ha-ingestor:problem:"
_RETRY_S: Final = 2
#: The first that fits, from the special to the general: status, and the short stable name in `type`.
_OF_ERRORS: Final[tuple[tuple[type[errors.IngestorError], int, str], ...]] = (
    (errors.Unauthenticated, 401, "key-needed"),
    (errors.NotAllowed, 403, "not-allowed"),
    (errors.NotFound, 404, "not-found"),
    (errors.Unanswerable, 400, "unanswerable"),
    (errors.Overloaded, 503, "overloaded"),
    (errors.TookTooLong, 503, "took-too-long"),
    (errors.Transient, 503, "unavailable"),
    (errors.StoreRefused, 502, "store-refused"),
    (errors.Conflict, 409, "conflict"),
    (errors.InvalidSettings, 400, "invalid-settings"),
    (errors.Rejected, 422, "invalid"),
)
_OF_STATUS: Final = {
    400: "malformed-json",
    412: "precondition-failed",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    409: "conflict",
    410: "gone",
    413: "too-large",
    416: "no-such-part",
    422: "invalid",
}
_log: Final = structlog.get_logger(__name__)


class Fault(BaseModel):
    """What is wrong with one part of a request."""

    where: str = Field(description="path, query, header or body.")
    name: str = Field(description="Which parameter, or the path within the body; empty for all of it.")
    detail: str


class Problem(BaseModel):
    """A failure (RFC 9457)."""

    type: str = Field(description="urn:ha-ingestor:problem:NAME, the same for the same kind of failure.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="A sentence about this failure.")
    instance: str = Field(description="The path that was asked for.")
    request_id: str = Field(description="As in the header `X-Request-ID` and in our logs.")
    errors: list[Fault] | None = Field(None, description="What is wrong with which part, where that is known.")


def problem_answer(
    scope: Mapping[str, Any],
    status: int,
    name: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    faults: Sequence[Fault] = (),
) -> Response:
    """Return a failure as an answer to the request of this ASGI scope."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    problem = Problem(
        type=_TYPES + name,
        title=title,
        status=status,
        detail=detail,
        instance=str(scope.get("path", "")),
        request_id=str(scope.get("state", {}).get("request_id", "")),
        errors=list(faults) or None,
    )
    body = orjson.dumps(problem.model_dump(exclude_none=True))
    return Response(body, status, dict(headers or {}), MEDIA_TYPE)


def name_of(error: BaseException) -> str | None:
    """Return the short stable name of an error of ours, for all transports; None of one that nobody foresaw."""
    if not isinstance(error, errors.IngestorError):
        return None
    return next((name for kind, _, name in _OF_ERRORS if isinstance(error, kind)), "failed")


def status_of(name: str) -> int | None:
    """Return the status of the failures with this short stable name; None of one that is not among them."""
    return 500 if name == "failed" else next((status for _, status, known in _OF_ERRORS if known == name), None)


def answer_to(scope: Mapping[str, Any], error: Exception) -> Response:
    """Return what is answered where this was raised; what nobody foresaw is logged and told as no more than that."""
    for kind, status, name in _OF_ERRORS:
        if isinstance(error, kind):
            return problem_answer(scope, status, name, str(error), headers=_headers(error))
    if isinstance(error, HTTPException):
        name = _OF_STATUS.get(error.status_code, "failed")
        return problem_answer(scope, error.status_code, name, str(error.detail), headers=error.headers)
    if isinstance(error, errors.IngestorError):
        return problem_answer(scope, 500, "failed", str(error))
    _log.error("request_failed", path=scope.get("path"), exc_info=error)
    return problem_answer(scope, 500, "failed", "something went wrong here; our log says what, by the request id")


def _headers(error: errors.IngestorError) -> dict[str, str]:
    if isinstance(error, errors.Unauthenticated):
        return {"WWW-Authenticate": 'Bearer realm="ha-ingestor"'}
    if isinstance(error, errors.Transient):
        return {"Retry-After": str(max(1, round(error.retry_after_s or _RETRY_S)))}
    return {}


def handle_problems(app: FastAPI) -> None:
    """Have every failure answered as a problem."""

    async def of_any(request: Request, error: Exception) -> Response:
        return answer_to(request.scope, error)

    async def of_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 -- registered for these
        if broken := _broken_json(error):
            return problem_answer(request.scope, 400, _OF_STATUS[400], broken)
        faults = [_fault(one) for one in error.errors()]
        detail = "; ".join(f"{one.name or one.where}: {one.detail}" for one in faults[:5])
        return problem_answer(request.scope, 422, "invalid", detail, faults=faults)

    app.add_exception_handler(errors.IngestorError, of_any)
    app.add_exception_handler(HTTPException, of_any)
    app.add_exception_handler(RequestValidationError, of_validation)


def _broken_json(error: RequestValidationError) -> str:
    """Say where a body stops to be JSON; nothing where it is, and only not what was asked for."""
    for one in error.errors():
        if one["type"] == "json_invalid" and one["loc"][0] == "body":
            return f"the body is no JSON: {one['ctx']['error']} (at character {one['loc'][1]})"
    return ""


def _fault(told: Mapping[str, Any]) -> Fault:
    """Return what pydantic tells of one fault; never the value, which may be a secret."""
    where, *path = [str(step) for step in told["loc"]] or ["body"]
    return Fault(where=where, name=".".join(path), detail=str(told["msg"]))
