"""What the routes have in common: types of parameters, pages, who may ask, an answer made off the event loop."""

from __future__ import annotations

from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from ingestor import errors
from ingestor.api.description import problem_response
from ingestor.api.gate import principal_of
from ingestor.api.means import Means, means_of
from ingestor.api.paging import MAX_CURSOR
from ingestor.reading.times import ns_of_rfc3339
from ingestor.security.access import Action, Scope, authorize

T = TypeVar("T")
MAX_PAGE: Final = 1000
#: Nothing that is stored has control characters in a name.
Text = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]
Glob = Annotated[Text, Field(description="`*` stands for any signs, `?` for one.")]
Texts = Annotated[list[Text], Field(max_length=50)]
Moment = Annotated[
    int,
    BeforeValidator(ns_of_rfc3339),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE, description="Most items of a page.")]
Cursor = Annotated[str, StringConstraints(max_length=MAX_CURSOR)]
NOT_FOUND: Final[dict[int | str, dict[str, Any]]] = {404: problem_response("There is no such thing.")}
UNANSWERABLE: Final[dict[int | str, dict[str, Any]]] = {
    400: problem_response("Each parameter is in order, all of them together are not; or the cursor is none of ours.")
}


def whole(value: Any) -> Any:
    """Take 2.0 for the integer that it is in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Question(BaseModel):
    """Parameters of a query; one that is not known is an error, since what it was to choose would be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Page(BaseModel, Generic[T]):
    """A part of a list. `next` leads to the following page; null on the last one."""

    items: list[T]
    next: str | None = Field(None, description="The cursor of the next page.")


Asking = Annotated[Means, Depends(means_of)]


async def may_read(request: Request) -> None:
    """Let pass who may read what the question is about (no `def`: FastAPI hands each to a thread of its own)."""
    authorize(principal_of(request.scope), Action.READ_DATA, Scope(request.query_params.get("home")))


def check_times(since_ns: int | None, until_ns: int | None) -> None:
    """Raise Unanswerable where a time ends before it begins: what was meant cannot be said."""
    if since_ns is not None and until_ns is not None and since_ns > until_ns:
        raise errors.Unanswerable("since must not be after until")


def as_json(model: BaseModel) -> bytes:
    """Return a model as JSON; to be done in the thread that has read it, since a page takes some milliseconds."""
    return model.model_dump_json().encode()


def json_answer(body: bytes, headers: dict[str, str] | None = None) -> Response:
    """Return an answer of bytes that are JSON."""
    return Response(body, media_type="application/json", headers=headers)
