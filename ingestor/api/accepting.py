"""What whoever asks takes (`Accept`), and what an operation gives: one place for all that have one form or several."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

_NOT_ACCEPTABLE: Final = 406
_ANY: Final = "*/*"
#: Whoever watches over us takes no 406 for health: they look at the status, whatever they say they take.
HEALTH: Final = "health"
#: Of a header that is longer no more is read: what it means is remembered.
_MOST_RANGES: Final = 100
_MOST_CHARS: Final = 2_000


async def acceptable(connection: HTTPConnection) -> None:
    """Let pass who takes anything that the operation gives; before anything is done. Raises HTTPException (406)."""
    if connection.scope["type"] != "http" or (asked := _accept(connection)) == _ANY:
        return
    route = connection.scope.get("route")
    if isinstance(route, APIRoute) and HEALTH not in route.tags:
        _check(asked, media_types(route))


def check_accepts(connection: HTTPConnection, media_type: str) -> None:
    """Let pass who takes this, where it is known only now what is given. Raises HTTPException (406)."""
    if (asked := _accept(connection)) != _ANY:
        _check(asked, (media_type,))


def preferred(connection: HTTPConnection, media_types: Iterable[str]) -> str:
    """Return what whoever asks likes best of these, the first of those that they like as well. Raises HTTPException."""
    known = tuple(map(_bare, media_types))
    asked = _accept(connection)
    _check(asked, known)
    return max(known, key=lambda one: quality(asked, one))  # of equals the first


def likes_better(connection: HTTPConnection, media_type: str, *, than: str) -> bool:
    """Tell whether whoever asks likes one form better than another."""
    asked = _accept(connection)
    return quality(asked, media_type) > quality(asked, than)


def media_types(route: APIRoute) -> tuple[str, ...]:
    """Return in which forms an operation may answer that all is well; none where it answers with nothing."""
    status = str(route.status_code or 200)
    if status == "204":
        return ()
    described = (route.responses.get(key, {}) for key in (status, int(status)))
    named: list[str] = [one for told in described for one in told.get("content", ())]
    # FastAPI wraps the class that is not set.
    usual: Any = getattr(route.response_class, "value", route.response_class)
    return tuple(named) or tuple(filter(None, (getattr(usual, "media_type", None),)))


def _accept(connection: HTTPConnection) -> str:
    return ",".join(connection.headers.getlist("accept"))[:_MOST_CHARS] or _ANY


def _check(asked: str, given: Collection[str]) -> None:
    if given and not any(quality(asked, one) for one in given):
        raise HTTPException(_NOT_ACCEPTABLE, f"this is given as {', '.join(given)}, and Accept takes none of that")


@functools.lru_cache(maxsize=1024)
def quality(accept: str, media_type: str) -> float:
    """Return how much a header likes a media type, from 0 (not at all) to 1: as its closest range says (RFC 9110)."""
    ranges = _ranges(accept)
    name = _bare(media_type)
    main = name.partition("/")[0]
    return next((ranges[one] for one in (name, f"{main}/*", _ANY) if one in ranges), 0.0 if ranges else 1.0)


@functools.lru_cache(maxsize=256)
def _ranges(accept: str) -> dict[str, float]:
    """Return the ranges of a header and how much each is liked; what cannot be understood is left out."""
    found: dict[str, float] = {}
    for one in accept.split(",")[:_MOST_RANGES]:
        name, *parameters = (part.strip().lower() for part in one.split(";"))
        weights = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
        try:
            weight = float(weights[0]) if weights else 1.0
        except ValueError:
            continue
        if name.count("/") == 1 and 0 <= weight <= 1:
            found[name] = max(weight, found.get(name, 0.0))  # the same with other parameters
    return found


def _bare(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()
