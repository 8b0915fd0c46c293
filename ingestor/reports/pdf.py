"""A report as PDF, drawn with ReportLab: the values and sentences of every form; no name is read as markup."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import reportlab
from reportlab.graphics.shapes import Circle, Drawing, Line, PolyLine, Rect, String
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

from ingestor.reports import words
from ingestor.reports.document import CalendarDay, DayScore, Report, Trouble, grade_of
from ingestor.reports.pages import BALANCE_COLUMNS, lacking

_INK: Final = colors.HexColor(0x1C2430)
_QUIET: Final = colors.HexColor(0x566274)
_RULE: Final = colors.HexColor(0xDCE1E8)
_GRADES: Final = {"good": 0x1A7F4B, "fair": 0x946200, "poor": 0xC0392B, "unknown": 0x566274}
_SHADES: Final = ((0.0, 0xDFEEE5), (0.05, 0xE3B341), (0.5, 0xE07B39), (1.01, 0xC0392B))
#: Between the margins, less what a frame keeps free at its edges.
_WIDTH: Final = A4[0] - 36 * mm - 12
#: Where systems keep a font that knows most alphabets; ReportLab's own knows the Latin one.
_FONTS: Final = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans",
    "/usr/share/fonts/dejavu/DejaVuSans",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans",
    "/usr/share/fonts/TTF/DejaVuSans",
)
_MOST_ROWS: Final = 60


def as_pdf(report: Report) -> bytes:
    """Return the report as a PDF."""
    out = io.BytesIO()
    title = words.title_of(report)
    page = SimpleDocTemplate(
        out,
        pagesize=A4,
        title=title,
        author="HA-Ingestor",
        subject=report.id,
        lang="en",
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=16 * mm,
        bottomMargin=16 * mm,
        invariant=True,
    )
    drawn = _Drawn(report)
    page.build([*drawn.head(title), *drawn.findings(), *drawn.details()], onFirstPage=_foot, onLaterPages=_foot)
    return out.getvalue()


def _foot(canvas: Any, page: Any) -> None:
    canvas.setFont(_fonts()[0], 7)
    canvas.setFillColor(_QUIET)
    canvas.drawRightString(A4[0] - 18 * mm, 9 * mm, f"{page.page}")


@functools.cache
def _fonts() -> tuple[str, str]:
    """Register a font, plain and bold, and return their names."""
    own = Path(reportlab.__file__).parent / "fonts" / "Vera"
    start = next((name for name in _FONTS if Path(f"{name}.ttf").exists()), None)
    plain, bold = (f"{start}.ttf", f"{start}-Bold.ttf") if start else (f"{own}.ttf", f"{own}Bd.ttf")
    if not Path(bold).exists():
        bold = plain
    pdfmetrics.registerFont(TTFont("report", plain))
    pdfmetrics.registerFont(TTFont("report-bold", bold))
    pdfmetrics.registerFontFamily("report", normal="report", bold="report-bold")
    return "report", "report-bold"


@functools.cache
def _style(size: float, *, bold: bool = False, quiet: bool = False, before: float = 0.0) -> ParagraphStyle:
    return ParagraphStyle(
        f"s{size}{bold}{quiet}{before}",
        fontName=_fonts()[int(bold)],
        fontSize=size,
        leading=size * 1.35,
        textColor=_QUIET if quiet else _INK,
        spaceBefore=before,
        spaceAfter=size / 3,
        splitLongWords=1,
        keepWithNext=int(bold and size > 9),  # noqa: PLR2004 -- larger than a table's text: a heading
    )


def clean(text: str) -> str:
    """Return a text without what no font draws, with every mark of the library's own markup escaped.

    A letter that the font lacks is a question mark: an empty box says less.
    """
    known = pdfmetrics.getFont(_fonts()[0]).face.charToGlyph
    shown = "".join(sign if ord(sign) in known else " " if sign.isspace() else "?" for sign in text)
    return escape(shown)


def _text(text: str, size: float = 9, **looks: Any) -> Paragraph:
    return Paragraph(clean(text), _style(size, **looks))


class _Drawn:
    """The parts of one report's PDF."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._zone = ZoneInfo(report.time_zone)

    def head(self, title: str) -> list[Any]:
        report = self._report
        span = f"{self._at(report.start_us)} to {self._at(report.end_us)} ({report.time_zone})"
        score = f"Score: {words.number(report.score)} of 100"
        parts = [_text(title, 17, bold=True), _text(f"{span} · made {self._at(report.made_us)}", quiet=True)]
        parts += [_text(score, 13, bold=True), *_titled("Balance", [_text(report.balance.explanation)])]
        if report.balance.rows:
            rows = [*report.balance.rows, report.balance.total]
            cells = [
                [row.source, *(words.number(getattr(row, name.replace(" ", "_"))) for name in BALANCE_COLUMNS)]
                for row in rows
            ]
            parts.append(_table(("source", *BALANCE_COLUMNS), cells, (18, *[10] * 8)))
        targets = [
            [one.title, words.share(one.value), words.share(one.wanted), _MET[one.met], one.explanation]
            for one in report.targets
        ]
        parts += _titled(
            "Against targets", [_table(("target", "value", "wanted", "", "why"), targets, (20, 9, 9, 9, 53))]
        )
        return parts

    def findings(self) -> list[Any]:
        report = self._report
        told = [_text(f"• {sentence}") for sentence in (*report.summary[1:], *report.unknowns)]
        todo = [_text(f"{number}. {_advice(one)}") for number, one in enumerate(report.advice, 1)]
        fresh = [_text(report.compared_with), *self._problems(report.fresh)]
        parts = [[part.dimension, words.number(part.score), part.explanation] for part in report.parts]
        trend: list[Any] = [_line(report.trend, _WIDTH, 22 * mm)] if report.trend else []
        trend += [_text("The home's score by day, between 0 and 100.", 7.5, quiet=True)] if report.trend else []
        return [
            *_titled("Summary", told),
            *_titled("What to do", todo or [_text("Nothing that we know of.")]),
            *_titled("New problems", fresh),
            *_titled("Trend and parts of the score", [*trend, _table(("part", "score", "why"), parts, (18, 10, 72))]),
        ]

    def details(self) -> list[Any]:
        report = self._report
        worst = [
            [one.name, words.number(one.score), _line(one.trend, 30 * mm, 7 * mm), _why(one)] for one in report.worst
        ]
        gaps = [
            [self._at(gap.start_us), self._at(gap.end_us), gap.listener, gap.reason.replace("_", " "), gap.state]
            for gap in report.gaps[:_MOST_ROWS]
        ]
        ruled = [[one.rule, words.number(one.count), one.why] for one in (*report.repairs, *report.rejections)]
        return [
            *_titled("Worst entities", [_table(("entity", "score", "trend", "why"), worst, (28, 9, 20, 43))]),
            *_titled("Gaps", [_calendar(report.calendar), Spacer(1, 4)]),
            _table(("from", "to", "listener", "reason", "state"), gaps, (20, 20, 20, 20, 20)),
            *_titled("Repaired and rejected", [_table(("rule or reason", "count", "why"), ruled, (28, 12, 60))]),
            *_titled("All problems", self._problems(report.troubles[:_MOST_ROWS])),
            _text(f"Report {report.id}, format {report.version}.", 7, quiet=True, before=8),
        ]

    def _problems(self, troubles: Iterable[Trouble]) -> list[Any]:
        rows = [[one.name, words.kind_text(one.kind), self._at(one.since_us), one.evidence] for one in troubles]
        return [_table(("whose", "problem", "since", "what was seen"), rows, (28, 14, 18, 40))]

    def _at(self, time_us: int) -> str:
        return words.moment(time_us, self._zone)


_MET: Final = {True: "met", False: "not met", None: "not known"}


def _titled(title: str, parts: Sequence[Any]) -> list[Any]:
    return [_text(title, 12, bold=True, before=8), *parts]


def _advice(one: Any) -> str:
    if not one.subjects:
        return str(one.text)
    more = one.concerned - len(one.subjects)
    return f"{one.text} ({', '.join(one.subjects)}{f' and {more} more' if more else ''})"


def _why(one: Any) -> str:
    return "; ".join(f"{part.dimension} {words.number(part.score)}: {part.explanation}" for part in lacking(one.parts))


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]], shares: Sequence[float]) -> Any:
    """Return a table that goes on over pages; a sentence where it would be empty."""
    if not rows:
        return _text("None.", 8, quiet=True)
    cells = [[_text(name, 7.5, bold=True, quiet=True) for name in head]]
    cells += [[_text(cell, 7.5) if isinstance(cell, str) else cell for cell in row] for row in rows]
    widths = [_WIDTH * part / sum(shares) for part in shares]
    looks = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEABOVE", (0, 1), (-1, -1), 0.4, _RULE),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 5),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
    ]
    return LongTable(cells, colWidths=widths, repeatRows=1, style=TableStyle(looks), hAlign="LEFT")


def _line(days: Sequence[DayScore], width: float, height: float) -> Drawing:
    drawing = Drawing(width, height)
    for share in (0.0, 1.0):
        y = 3 + (height - 6) * share
        drawing.add(Line(0, y, width, y, strokeColor=_RULE, strokeWidth=0.4))
    runs: list[list[float]] = [[]]
    last: tuple[float, float, float] | None = None
    for index, day in enumerate(days):
        if day.score is None:
            runs.append([])
            continue
        x = width * (index + 0.5) / len(days)
        y = 3 + (height - 6) * day.score / 100
        runs[-1] += [x, y]
        last = (x, y, day.score)
    for points in runs:
        if len(points) > 2:  # noqa: PLR2004 -- more than one point
            drawing.add(PolyLine(points, strokeColor=colors.HexColor(0x2F6FB2), strokeWidth=1))
    if last:
        drawing.add(Circle(last[0], last[1], 1.8, fillColor=_grade(last[2]), strokeColor=None))
    return drawing


def _grade(score: float) -> Any:
    return colors.HexColor(_GRADES[grade_of(score)])


def _calendar(days: Sequence[CalendarDay]) -> Drawing:
    step, left = 8.0, 32.0
    drawing = Drawing(left + 24 * step, (len(days) + 1) * step)
    told = {"fontName": _fonts()[0], "fontSize": 6, "fillColor": _QUIET}
    for hour in range(0, 24, 6):
        drawing.add(String(left + hour * step, len(days) * step + 2, str(hour), **told))
    for row, day in enumerate(days):
        drawing.add(String(0, (len(days) - row - 1) * step + 1, day.day[5:], **told))
        for hour, missed in enumerate(day.missed):
            place = (left + hour * step, (len(days) - row - 1) * step, step - 1, step - 1)
            if missed is not None:
                shade = next(shade for limit, shade in _SHADES if missed <= limit)
                drawing.add(Rect(*place, fillColor=colors.HexColor(shade), strokeColor=None))
    return drawing
