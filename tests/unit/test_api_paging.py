"""Cursors belong to one question, and nothing that somebody writes into one does harm."""

from __future__ import annotations

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from ingestor import errors
from ingestor.api.paging import cursor_of, next_link, place_of

KINDS = (int, str, str)


@given(st.integers(0, 2**63 - 1), st.text(), st.text())
def test_a_cursor_brings_back_its_place(time_ns: int, home: str, series: str) -> None:
    assert place_of(cursor_of({"q": 1}, (time_ns, home, series)), {"q": 1}, KINDS) == [time_ns, home, series]


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,80}", fullmatch=True))
def test_whatever_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(errors.Unanswerable):
        place_of(text, {}, KINDS)


@pytest.mark.parametrize("place", [(), (1,), ("1", "a", "b"), (1, "a", "b", "c"), (-1, "a", "b"), (True, "a", "b")])
def test_a_place_of_other_values_is_refused(place: tuple[str | int, ...]) -> None:
    with pytest.raises(errors.Unanswerable):
        place_of(cursor_of({}, place), {}, KINDS)


def test_a_cursor_of_another_question_is_refused() -> None:
    with pytest.raises(errors.Unanswerable, match="another question"):
        place_of(cursor_of({"domain": ["light"]}, (1, "a", "b")), {"domain": []}, KINDS)


def test_the_link_keeps_what_was_asked_and_cannot_be_broken_out_of() -> None:
    query = b"area=K%C3%BCche&cursor=old&area=%22%3E%3B"
    scope = {"type": "http", "path": "/api/v1/x\r\ny>", "root_path": "", "query_string": query, "headers": []}

    link = next_link(Request({**scope, "server": ("h", 80), "scheme": "http"}), "new")["Link"]

    assert link == '</api/v1/x%0D%0Ay%3E?area=K%C3%BCche&area=%22%3E%3B&cursor=new>; rel="next"'
    assert next_link(Request(scope), None) == {}
