"""Pages: opaque cursors that belong to one question, and the header that leads to the next page; reads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
from fastapi import Request

from ingestor import errors

_MARK_BYTES: Final = 8
#: The longest cursor that is looked at (characters); ours have a place in them, which is short.
MAX_CURSOR: Final = 2048
Place = Sequence[str | int]


def cursor_of(question: object, place: Place) -> str:
    """Return the cursor of a place in the answer to a question."""
    return base64.urlsafe_b64encode(orjson.dumps([_mark(question), *place])).decode().rstrip("=")


def place_of(cursor: str, question: object, kinds: Sequence[type]) -> list[Any]:
    """Return the place that a cursor means, of values of these kinds. Raises Unanswerable where it is not of this."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        mark, *place = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError) as error:  # also what is no base64, no JSON, no list
        raise errors.Unanswerable("the cursor is none of ours: take it from `next` or `Link`") from error
    if mark != _mark(question):
        raise errors.Unanswerable(
            "the cursor belongs to another question: keep all parameters but `limit` as they were"
        )
    if [type(one) for one in place] != list(kinds) or any(type(one) is int and not 0 <= one < 2**63 for one in place):
        raise errors.Unanswerable("the cursor is none of ours: take it from `next` or `Link`")
    return list(place)


def _mark(question: object) -> str:
    return hashlib.blake2b(repr(question).encode("utf-8", "replace"), digest_size=_MARK_BYTES).hexdigest()


def next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """Return the header `Link` to the next page, relative to where this one was asked for; none on the last one."""
    if cursor is None:
        return {}
    asked = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    path = quote(request.scope["path"], safe="/:~@!$&()*+,;=")
    address = f"{path}?{urlencode([*asked, ('cursor', cursor)])}"
    return {"Link": f'<{address}>; rel="next"'}
