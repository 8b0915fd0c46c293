"""A report as a page: one HTML file that asks nobody for anything, and Markdown. Every name is escaped."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from markupsafe import Markup

from ingestor.reports import words
from ingestor.reports.charts import LARGE, SMALL, gap_calendar, line_chart
from ingestor.reports.document import DayScore, PartShown, Report, grade_of

#: The columns of the balance, as they are called; the fields have `_` for a blank.
BALANCE_COLUMNS: Final = (
    "received",
    "written",
    "duplicate",
    "rejected",
    "filtered",
    "in flight",
    "lost",
    "read back",
)
_BEST: Final = 100.0
_MOST_PARTS: Final = 3
#: What Markdown, or HTML in it, would read as something else than the letter.
_MARKS: Final = re.compile(r"([\\`*_\[\]<>|#~&])")
_BREAKS: Final = re.compile(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+\s*")


def as_html(report: Report) -> bytes:
    """Return the report as one HTML file, without script and without anything to fetch."""
    css, _, _ = _templates(html=True).loader.get_source(_templates(html=True), "report.css.j2")  # type: ignore[union-attr]  # it has a loader
    page = _templates(html=True).get_template("report.html.j2")
    return page.render(**_names(report), css=Markup(css)).encode("utf-8", "replace")  # noqa: S704 -- a file of ours


def as_markdown(report: Report) -> bytes:
    """Return the report as Markdown."""
    page = _templates(html=False).get_template("report.md.j2")
    return page.render(**_names(report)).encode("utf-8", "replace")


def _names(report: Report) -> dict[str, Any]:
    zone = ZoneInfo(report.time_zone)
    return {
        "report": report,
        "title": words.title_of(report),
        "balance_columns": BALANCE_COLUMNS,
        "zone": zone,
    }


@functools.cache
def _templates(*, html: bool) -> Environment:
    made = Environment(
        loader=PackageLoader("ingestor.reports"),
        autoescape=html,  # noqa: S701 -- Markdown has marks of its own: `finalize` escapes every value
        undefined=StrictUndefined,
        finalize=None if html else markdown_text,
        keep_trailing_newline=True,
    )
    made.filters.update(
        share=words.share,
        number=words.number,
        kind=words.kind_text,
        words=lambda text: str(text).replace("_", " "),
        grade=grade_of,
        lacking=lacking,
        as_is=Markup,
        calendar=gap_calendar,
        chart=_chart,
        moment=_moment,
        span=_span,
        breakable=_breakable,
        day=_day,
    )
    return made


def markdown_text(value: Any) -> Any:
    """Return a text as Markdown shows it to the letter, on one line. What a macro made is left as it is."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _MARKS.sub(r"\\\1", _BREAKS.sub(" ", value))


def lacking(parts: Sequence[PartShown]) -> list[PartShown]:
    """Return the parts that cost points, the worst first, at most three."""
    short = [part for part in parts if part.score is not None and part.score < _BEST]
    return sorted(short, key=lambda part: part.score or 0.0)[:_MOST_PARTS]


def _zone(context: Any) -> ZoneInfo:
    found: ZoneInfo = context["zone"]
    return found


@pass_context
def _chart(context: Any, days: Sequence[DayScore], label: str, large: bool) -> Markup:
    return line_chart(days, label, _zone(context), LARGE if large else SMALL)


@pass_context
def _moment(context: Any, time_us: int | None) -> str:
    return words.moment(time_us, _zone(context))


@pass_context
def _span(context: Any, since_us: int, until_us: int | None) -> str:
    return words.span(since_us, until_us, _zone(context))


def _breakable(name: str) -> Markup:
    """Return an entity_id that may be broken behind its dot and underscores, and nowhere else."""
    return Markup("<wbr>").join(re.split(r"(?<=[._])", name))


@pass_context
def _day(context: Any, time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us / 1e6, _zone(context)):%Y-%m-%d}"
