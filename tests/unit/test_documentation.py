"""The documentation hangs together: links lead somewhere, and every page is in the list of pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield the file and the heading that each link of a page leads to, but for those to elsewhere."""
    for target in _LINK.findall(_CODE.sub("", page.read_text("utf-8"))):
        if "://" not in target and not target.startswith("mailto:"):
            path, _, heading = target.partition("#")
            yield ((page.parent / path).resolve() if path else page), heading


def anchors(page: Path) -> set[str]:
    """Return the names of the headings of a page, as hosts of Markdown make them."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, heading in links(page):
        assert target.exists(), target
        if heading and target.suffix == ".md":
            assert heading in anchors(target), f"{target.relative_to(ROOT)}#{heading}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_gives_a_number_for_a_reason(page: Path) -> None:
    """A reader is told what a rule says, and not sent to look for it."""
    assert re.findall(r"\brules? \d+", page.read_text("utf-8")) == []


def test_every_rule_that_the_code_names_stands_in_the_list() -> None:
    page = (ROOT / "docs" / "explanation" / "rules.md").read_text("utf-8")
    listed = [int(number) for number in re.findall(r"^(\d+)\. \*\*", page, re.MULTILINE)]
    named = {
        int(number)
        for folder in ("ingestor", "workers", "tasks", "tests")
        for path in (ROOT / folder).rglob("*.py")
        for said in re.findall(r"\brules? (\d+(?:(?:, | and | to )\d+)*)", path.read_text("utf-8"))
        for number in re.findall(r"\d+", said)
    }

    assert listed == list(range(1, len(listed) + 1))
    assert named
    assert named <= set(listed)


def test_no_file_is_longer_than_we_say() -> None:
    for folder, most in (("ingestor", 400), ("workers", 400), ("tasks", 400), ("scripts", 400), ("tests", 600)):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name.endswith(("_pb2.py", "_pb2_grpc.py")):
                continue  # made by protoc
            assert path.read_bytes().count(b"\n") <= most, path.relative_to(ROOT)


def test_every_page_is_in_the_list_of_pages() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {target for target, _ in links(index)}
    pages = {page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "runbook"}

    assert pages - listed == {index}
