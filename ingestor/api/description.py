"""The API's description of itself (OpenAPI 3.1), made true: keys, problems, headers. Adds no route."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ingestor.api.accepting import HEALTH
from ingestor.api.callers import COOKIE, STREAM_PATHS, TICKET
from ingestor.api.examples import EXAMPLES
from ingestor.api.problems import MEDIA_TYPE, Problem

_METHODS: Final = ("get", "put", "post", "delete", "patch")
_ABOUT: Final = """\
What is stored and known of the homes, for programs.

A key opens it: `Authorization: Bearer KEY` or `X-API-Key: KEY`; `ha-ingestor key` shows it. A page in a browser
shows it once (`POST /api/v1/session`). Times are RFC 3339; those that are given need their zone. Lists come in pages:
`Link: <…>; rel="next"` and `next` lead to the following one. HEAD is answered as GET is, without the body; but for
`/api/v1/events/stream`, which has no end (405). Every answer has an `X-Request-ID`, every whole one an
`ETag`. Failures are `application/problem+json` (RFC 9457)."""
_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    "ticket": {"type": "apiKey", "in": "query", "name": TICKET},
}
_KNOWN_BY: Final[tuple[dict[str, list[str]], ...]] = ({"bearer": []}, {"apiKey": []}, {"session": []})
_PROBLEMS: Final = {
    "401": "No key, or not ours.",
    "400": "The body is no JSON.",
    "406": "`Accept` takes none of the media types that are given here.",
    "422": "A parameter or the body is not what this description says.",
    "503": "A server that we need is away, or too much is asked at once; `Retry-After` says when to try again.",
    "default": "Any other failure.",
}
_REQUEST_ID: Final = {"description": "Also in our logs.", "schema": {"type": "string"}}
_ETAG: Final = {"description": "For `If-None-Match`.", "schema": {"type": "string"}}


def describe(
    app: FastAPI, open_paths: Collection[str], open_operations: Collection[tuple[str, str]] = ()
) -> Callable[[], dict[str, Any]]:
    """Return what makes the description, once; to be put in the place of `app.openapi`.

    `open_operations`: method and path of what else needs no key.
    """

    def description() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app, open_paths, open_operations)
        return app.openapi_schema

    return description


def _described(
    app: FastAPI, open_paths: Collection[str], open_operations: Collection[tuple[str, str]]
) -> dict[str, Any]:
    found: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=_ABOUT, routes=app.routes, tags=app.openapi_tags
    )
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for ours_not in ("HTTPValidationError", "ValidationError"):
        schemas.pop(ours_not, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}), Problem=problem)
    components["securitySchemes"] = _SCHEMES
    found["security"] = list(_KNOWN_BY)
    for path, methods in found["paths"].items():
        for method in _METHODS:
            if method in methods:
                is_open = path in open_paths or (method, path) in open_operations
                _complete(methods[method], reads=method == "get", is_open=is_open)
                if path in STREAM_PATHS:
                    methods[method]["security"] = [*_KNOWN_BY, {"ticket": []}]
                _add_example(methods[method], method, path)
    return found


def _complete(operation: dict[str, Any], *, reads: bool, is_open: bool) -> None:
    """Add to an operation what holds for all of them."""
    responses = operation["responses"]
    takes_something = responses.pop("422", None) is not None
    for status, told in responses.items():
        told.setdefault("headers", {})["X-Request-ID"] = _REQUEST_ID
        if reads and status == "200":
            told["headers"]["ETag"] = _ETAG
    if reads:
        responses["304"] = {"description": "Not modified: `If-None-Match` names what would be answered."}
    if is_open:
        operation["security"] = []
    for status, text in _PROBLEMS.items():
        has_no_use = {
            "400": "requestBody" not in operation,
            "401": is_open,
            "406": "204" in responses or HEALTH in operation.get("tags", ()),
            "422": not takes_something,
        }
        if has_no_use.get(status) or status in responses:
            continue
        responses[status] = problem_response(text)


def _add_example(operation: dict[str, Any], method: str, path: str) -> None:
    target, _, body = EXAMPLES.get((method, path), "").partition(" ")
    operation["x-example"] = {"target": target, "body": body} if body else {"target": target}


def problem_response(text: str) -> dict[str, Any]:
    """Return how a failure is described: for `responses` of a route that fails in a way of its own."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {MEDIA_TYPE: {"schema": schema}}}
