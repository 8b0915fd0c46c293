"""How a method becomes a field of the schema, and stays a method to who reads and checks the code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import strawberry

F = TypeVar("F", bound=Callable[..., Any])


def heard(description: str) -> Callable[[F], F]:
    """Return a decorator that makes a generator something to subscribe to, with this description."""
    return cast("Callable[[F], F]", strawberry.subscription(description=description))


def told(description: str) -> Callable[[F], F]:
    """Return a decorator that makes a method a field with this description."""
    return cast("Callable[[F], F]", strawberry.field(description=description))
