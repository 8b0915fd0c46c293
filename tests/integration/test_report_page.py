"""The page of a report in a real browser: it asks nobody, complains of nothing, and fits on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestor.reports.render import rendered
from tests.chromium import Chromium, Page
from tests.conftest import make
from tests.fakes.report_home import example_report

LONG = "Sensor_of_the_" + "very" * 30 + "_long_name" + " <b>bold</b> <script>document.title = 'had'</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with make(Chromium) as found:
        yield found


@pytest.fixture
def page(browser: Chromium) -> Iterator[Page]:
    with browser.open() as found:
        yield found


def test_the_page_asks_nobody_complains_of_nothing_and_fits_on_every_screen(page: Page, tmp_path: Path) -> None:
    for name, report in (("plain", example_report()), ("long", example_report(name=LONG))):
        path = tmp_path / f"{name}.html"
        path.write_bytes(rendered(report, "html"))
        for width in (1280, 390):
            seen = page.show(path, width=width)

            assert [url for url in seen.requests if not url.startswith("data:")] == [path.as_uri()]
            assert seen.complaints == []
            assert page.value("document.documentElement.scrollWidth") <= width
            cut = page.value(
                "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right >"
                " document.documentElement.clientWidth + 1 && !e.closest('thead')).map(e => e.outerHTML.slice(0, 80))"
            )
            assert cut == []
            assert page.value("document.title") == "Weekly report on the data quality of home"


def test_the_page_is_light_or_dark_as_the_reader_has_it_and_can_be_read_in_both(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(rendered(example_report(), "html"))
    contrast = """(() => {
      const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b };
      const of = s => { const e = document.querySelector(s); const paper = getComputedStyle(e.closest('section'))
        .backgroundColor; const [a, b] = [light(getComputedStyle(e).color), light(paper)].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05) };
      const told = ['td', 'h2', 'section .quiet', '.card.poor .big', '.card.good .big', '.pill.fair'];
      return Math.min(...told.map(of));
    })()"""
    papers = []

    for dark in (False, True):
        page.show(path, width=1280, dark=dark)
        papers.append(page.value("getComputedStyle(document.body).backgroundColor"))

        assert page.value(contrast) >= 4.5

    assert papers[0] != papers[1]
