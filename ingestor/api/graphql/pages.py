"""Connections as Relay has them: a page of a list, and where the next one begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Generic, TypeVar

import strawberry

from ingestor import errors
from ingestor.api.answers import MAX_PAGE

T = TypeVar("T")
#: How many a list of the first level has where nothing is said, and one within another.
FIRST: Final = 100
FIRST_WITHIN: Final = 20
First = Annotated[int, strawberry.argument(description=f"Most items of the page, up to {MAX_PAGE:,}.")]
After = Annotated[str | None, strawberry.argument(description="Behind which cursor the page begins.")]


@strawberry.type
class PageInfo:
    """Whether there is more, and where it begins."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[T]):
    """An item, and its place in the list."""

    cursor: str
    node: T


@strawberry.type
class Connection(Generic[T]):
    """A page of a list. `nodes` are those of `edges`."""

    edges: list[Edge[T]]
    nodes: list[T]
    page_info: PageInfo


def checked(first: int) -> int:
    """Return how many are asked for. Raises Unanswerable."""
    if not 1 <= first <= MAX_PAGE:
        raise errors.Unanswerable(f"first: {first} is not 1 to {MAX_PAGE:,}")
    return first


def connection(nodes: Sequence[T], cursors: Sequence[str], *, more: bool, after: str | None) -> Connection[T]:
    """Return a page; `more`: others follow."""
    begin, end = (cursors[0], cursors[-1]) if cursors else (None, None)
    info = PageInfo(has_next_page=more, has_previous_page=after is not None, start_cursor=begin, end_cursor=end)
    edges = [Edge(cursor=cursor, node=node) for cursor, node in zip(cursors, nodes, strict=True)]
    return Connection(edges=edges, nodes=list(nodes), page_info=info)
