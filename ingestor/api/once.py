"""A parameter that has one value and is given twice is an error: which was meant cannot be said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection


async def given_once(connection: HTTPConnection) -> None:
    """Let pass a query that gives no parameter more often than it has values. Raises RequestValidationError (422)."""
    given = Counter(name for name, _ in connection.query_params.multi_items())
    twice = {name: times for name, times in given.items() if times > 1}
    route = connection.scope.get("route")
    if not twice or not isinstance(route, APIRoute):
        return
    single = _single(connection.app, route, connection.scope["method"])
    faults = [
        {"type": "given_twice", "loc": ("query", name), "msg": f"is given {times} times and has one value"}
        for name, times in twice.items()
        if name in single
    ]
    if faults:
        raise RequestValidationError(faults)


def _single(app: FastAPI, route: APIRoute, method: str) -> set[str]:
    """Return the parameters of an operation that have one value, as the API describes itself."""
    told = app.openapi()["paths"].get(route.path_format, {}).get(method.lower(), {})
    return {one["name"] for one in told.get("parameters", ()) if one["in"] == "query" and not _is_list(one["schema"])}


def _is_list(schema: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "array" for one in (schema, *schema.get("anyOf", ())))
