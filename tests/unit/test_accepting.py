"""How much `Accept` likes a media type, as RFC 9110 has it."""

from __future__ import annotations

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from ingestor.api.accepting import preferred, quality


@pytest.mark.parametrize(
    ("accept", "media_type", "expected"),
    [
        ("*/*", "text/csv", 1.0),
        ("text/*;q=0.3, text/csv;q=0.7, */*;q=0.5", "text/csv; charset=utf-8", 0.7),
        ("text/*;q=0.3, text/csv;q=0.7, */*;q=0.5", "text/plain", 0.3),
        ("text/*;q=0.3, text/csv;q=0.7, */*;q=0.5", "application/json", 0.5),
        ("TEXT/CSV ; Q=0.5", "text/csv", 0.5),
        ("text/csv;q=0, */*", "text/csv", 0.0),
        ("text/plain;version=1.0;q=0.2, text/plain;version=2;q=0.9", "text/plain", 0.9),
        ("text/html", "text/csv", 0.0),
        ("text/csv;q=2, text/plain;q=x, rubbish, a/b/c", "text/csv", 1.0),  # nothing that could be understood
        (",,;", "text/csv", 1.0),
        ("text/html," * 10_000, "text/csv", 0.0),
    ],
)
def test_the_closest_range_says_how_much_something_is_liked(accept: str, media_type: str, expected: float) -> None:
    assert quality(accept, media_type) == expected


def asking(*accepts: str) -> HTTPConnection:
    return HTTPConnection({"type": "http", "headers": [(b"accept", one.encode()) for one in accepts]})


def test_what_is_liked_best_is_given_and_the_first_of_equals() -> None:
    given = ("application/json", "text/csv; charset=utf-8")

    assert preferred(asking(), given) == "application/json"
    assert preferred(asking("text/csv, application/json"), given) == "application/json"
    assert preferred(asking("application/json;q=0.1", "text/csv;q=0.2"), given) == "text/csv"
    with pytest.raises(HTTPException) as refused:
        preferred(asking("image/*"), given)
    assert refused.value.status_code == 406
