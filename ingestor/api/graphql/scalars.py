"""The scalars of the schema besides GraphQL's own; checks what comes in."""

from __future__ import annotations

from typing import Any, Final, NewType

import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from ingestor.reading.times import ns_of_rfc3339

Time = NewType("Time", str)
Long = NewType("Long", int)


def _time(value: Any) -> str:
    try:
        ns_of_rfc3339(value)
    except (TypeError, ValueError) as error:
        raise GraphQLError(f"{value!r:.60} is no RFC 3339 time with its zone, such as 2026-03-01T12:00:00Z") from error
    return str(value)


SCALARS: Final[dict[object, ScalarDefinition]] = {
    Time: strawberry.scalar(
        name="Time",
        description="RFC 3339: in UTC where it is told; with its zone where it is given.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=str,
        parse_value=_time,
    ),
    Long: strawberry.scalar(
        name="Long", description="A whole number of up to 64 bits.", serialize=int, parse_value=int
    ),
}
__all__ = ["JSON", "SCALARS", "Long", "Time"]
