"""The forms of a report: what is said, that names stay names, and that nothing is asked of anybody."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ingestor import errors
from ingestor.reports.document import Report
from ingestor.reports.render import FORMS, packed, rendered, unpacked
from ingestor.reports.words import share
from tests.fakes.report_home import example_report

HOSTILE = (
    '<script>alert(1)</script><img src=x onerror=alert(2)>" onmouseover="x {{ 7*7 }} {% raw %} `a`|b*c*_d_'
    " [l](http://x)\n# h"
    " <b>&amp;</b> \x00 \u202e <para><font color='[[].__class__]'>"
)


class Tags(HTMLParser):
    """Notes every tag with its attributes, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def tags_of(report: Report) -> Tags:
    found = Tags()
    found.feed(rendered(report, "html").decode())
    return found


def test_the_page_asks_nobody_for_anything_and_has_no_script() -> None:
    found = tags_of(example_report())

    names = {tag for tag, _ in found.tags}
    assert not names & {"script", "iframe", "object", "embed", "img", "form", "base"}
    addresses = [value for _, attrs in found.tags for name, value in attrs.items() if name in ("href", "src", "srcset")]
    assert addresses == ["data:,"]
    page = rendered(example_report(), "html").decode()
    assert "@import" not in page
    assert "url(" not in page
    assert "default-src 'none'" in page


def test_a_hostile_name_is_only_text_in_the_page() -> None:
    plain, hostile = tags_of(example_report()), tags_of(example_report(name=HOSTILE))

    assert [tag for tag, _ in hostile.tags if tag != "code"] == [tag for tag, _ in plain.tags if tag != "code"]
    assert not [name for _, attrs in hostile.tags for name in attrs if name.startswith("on")]
    assert "<script>alert(1)</script>" in "".join(hostile.text)
    assert "{{ 7*7 }}" in "".join(hostile.text)


def test_a_hostile_name_is_only_text_in_markdown_and_pdf() -> None:
    text = rendered(example_report(name=HOSTILE), "md").decode()

    assert "\\<script\\>alert(1)\\</script\\>" in text
    assert "\\[l\\](http://x) \\# h" in text
    assert [line for line in text.splitlines() if line.startswith("# ")] == [
        "# Weekly report on the data quality of home"
    ]
    rows = [line for line in text.splitlines() if "onerror" in line and line.startswith("|")]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) in (4, 5) for row in rows)
    assert rendered(example_report(name=HOSTILE), "pdf").startswith(b"%PDF-")


def test_the_page_can_be_read_without_seeing_it() -> None:
    found = tags_of(example_report())

    assert ("html", {"lang": "en"}) in found.tags
    headings = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in found.tags if tag == "th")
    drawings = [attrs for tag, attrs in found.tags if tag == "svg"]
    assert drawings
    assert all(attrs.get("role") == "img" for attrs in drawings)
    page = rendered(example_report(), "html").decode()
    assert page.count("<svg") == len(re.findall(r"<svg[^>]*><title>[^<]+</title>", page))


def test_the_head_of_the_report_has_the_balance_and_each_target_with_its_reason() -> None:
    report = example_report()

    text = "".join(tags_of(report).text)

    assert text.index("Balance") < text.index("Against targets") < text.index("Summary")
    assert "372,962" in text
    assert report.balance.total.received == sum(
        getattr(report.balance.total, name)
        for name in ("written", "duplicate", "rejected", "filtered", "in_flight", "lost")
    )
    assert {one.name: one.met for one in report.targets} == {"context": False, "valid": True, "up": False}
    assert "For 2.44 h of 7.0 days a listener could not hear its home" in text


def test_json_has_everything_with_its_version_and_a_kept_report_comes_back() -> None:
    report = example_report()

    found = json.loads(rendered(report, "json"))

    assert (found["schema"], found["version"]) == ("ha-ingestor/quality-report", 1)
    assert [one["met"] for one in found["targets"]] == [False, True, False]
    assert found["worst"][0]["trend"][0]["score"] == 99
    assert unpacked(packed(report)) == report
    with pytest.raises(errors.NotFound, match="kept as"):
        unpacked(packed(replace(report, version=2)))


def test_every_form_of_a_report_of_which_nothing_is_known_says_so() -> None:
    whole = example_report()
    nothing = replace(
        whole, score=None, parts=(), trend=(), worst=(), groups=(), troubles=(), advice=(), gaps=(), unknowns=("Why.",)
    )

    for form in FORMS:
        assert rendered(nothing, form)
    text = "".join(tags_of(nothing).text)
    assert "Nothing that we know of." in text
    assert "No day was judged yet." in text
    assert "Why." in text


def test_a_share_is_never_rounded_up_to_a_whole() -> None:
    assert [share(value) for value in (1.0, 0.999999, 0.95, 0.9876543, 0.0, None)] == [
        "100%",
        "99.999%",
        "95%",
        "98.765%",
        "0%",
        "not known",
    ]
