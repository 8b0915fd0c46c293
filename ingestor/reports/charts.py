"""Small charts as inline SVG: a line of scores, a calendar of gaps; drawn from numbers, coloured by the page's CSS."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Final, NamedTuple

from markupsafe import Markup, escape

from ingestor.reports.document import CalendarDay, DayScore, grade_of
from ingestor.reports.words import number, share

_PAD: Final = 4
_BEST: Final = 100.0
_CELL: Final = 12
_STEP: Final = 14
_DAY_WIDTH: Final = 42
_HEAD: Final = 16
#: Shares of an hour that were missed, and the class of the cell's colour.
_SHADES: Final = ((0.0, "c0"), (0.05, "c1"), (0.5, "c2"), (1.01, "c3"))


class Size(NamedTuple):
    """Width and height of a chart, in its own units."""

    width: int
    height: int


SMALL: Final = Size(120, 28)
LARGE: Final = Size(640, 150)
#: Where the scale of a large chart begins, the nearest below all of its scores: a fall of one point is to be seen.
_FLOORS: Final = (90, 80, 50)
_FOOT: Final = 18


def line_chart(days: Sequence[DayScore], label: str, zone: tzinfo, size: Size = SMALL) -> Markup:
    """Return scores by day as a line; days without a score are breaks in it."""
    told = _trend_in_words(days, zone)
    title = f"{label}: {told}"
    parts = [_opening(size, title)]
    floor = _floor(days, size)
    if size is not SMALL:
        parts += [_guide(size, score, floor) for score in (floor, (floor + _BEST) / 2, _BEST)]
        parts += _dates(days, size, zone)
    for run in _runs(days):
        at = (_at(index, day, len(days), size, floor) for index, day in run)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        if len(run) > 1:
            parts.append(f'<polyline class="line" points="{points}"/>')
    last = next((item for item in reversed(list(enumerate(days))) if item[1].score is not None), None)
    if last:
        x, y = _at(*last, len(days), size, floor)
        parts.append(f'<circle class="dot {grade_of(last[1].score)}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
    return Markup("".join(parts) + "</svg>")  # noqa: S704 -- numbers of ours, and a title that is escaped


def _trend_in_words(days: Sequence[DayScore], zone: tzinfo) -> str:
    scores = [(day, day.score) for day in days if day.score is not None]
    if not scores:
        return "no day was judged"
    first, last = (f"{number(score)} on {_date(day, zone)}" for day, score in (scores[0], scores[-1]))
    return first if len(scores) == 1 else f"from {first} to {last}"


def _date(day: DayScore, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(day.day_us / 1e6, zone):%Y-%m-%d}"


def _opening(size: Size, title: str) -> str:
    kind = "chart small" if size is SMALL else "chart"
    return (
        f'<svg class="{kind}" role="img" viewBox="0 0 {size.width} {size.height}"'
        f' xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>'
    )


def _floor(days: Sequence[DayScore], size: Size) -> float:
    least = min((day.score for day in days if day.score is not None), default=0.0)
    return 0.0 if size is SMALL else next((float(floor) for floor in _FLOORS if least > floor), 0.0)


def _dates(days: Sequence[DayScore], size: Size, zone: tzinfo) -> list[str]:
    """Return the first and the last day below the ends of the line."""
    ends = [(28, "start", days[0]), (size.width - _PAD, "end", days[-1])] if len(days) > 1 else []
    return [
        f'<text class="tick" x="{x}" y="{size.height - 4}" text-anchor="{anchor}">{_date(day, zone)}</text>'
        for x, anchor, day in ends
    ]


def _guide(size: Size, score: float, floor: float) -> str:
    y = _height(score, size, floor)
    return (
        f'<line class="guide" x1="0" x2="{size.width}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="0" y="{y - 2:.1f}">{score:g}</text>'
    )


def _height(score: float, size: Size, floor: float) -> float:
    top, foot = (_PAD, _PAD) if size is SMALL else (_HEAD, _FOOT)
    return top + (_BEST - score) / (_BEST - floor) * (size.height - foot - top)


def _at(index: int, day: DayScore, many: int, size: Size, floor: float) -> tuple[float, float]:
    left = _PAD if size is SMALL else 28
    wide = size.width - _PAD - left
    x = left + (wide * index / (many - 1) if many > 1 else wide / 2)
    return x, _height(day.score or 0.0, size, floor)


def _runs(days: Sequence[DayScore]) -> list[list[tuple[int, DayScore]]]:
    runs: list[list[tuple[int, DayScore]]] = [[]]
    for index, day in enumerate(days):
        if day.score is None:
            runs.append([])
        else:
            runs[-1].append((index, day))
    return [run for run in runs if run]


def gap_calendar(days: Sequence[CalendarDay]) -> Markup:
    """Return the days as rows of 24 hours, darker where more was missed."""
    width, height = _DAY_WIDTH + 24 * _STEP, _HEAD + len(days) * _STEP
    touched = [day.day for day in days if any(share for share in day.missed)]
    told = f"gaps on {', '.join(touched[:10])}" if touched else "no hour has a gap"
    more = f" and {len(touched) - 10} more days" if len(touched) > 10 else ""  # noqa: PLR2004 -- as many as are named
    head = (
        f'<svg class="calendar" role="img" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(f'{len(days)} days by hour: {told}{more}')}</title>"
    )
    hours = "".join(
        f'<text class="tick" x="{_DAY_WIDTH + hour * _STEP}" y="{_HEAD - 5}">{hour}</text>' for hour in range(0, 24, 6)
    )
    rows = "".join(_row(number, day) for number, day in enumerate(days))
    return Markup(head + hours + rows + "</svg>")  # noqa: S704 -- numbers of ours, and a title that is escaped


def _row(number: int, day: CalendarDay) -> str:
    y = _HEAD + number * _STEP
    cells = "".join(_cell(hour, y, day, missed) for hour, missed in enumerate(day.missed))
    return f'<text class="tick" x="0" y="{y + _CELL - 2}">{escape(day.day[5:])}</text>{cells}'


def _cell(hour: int, y: int, day: CalendarDay, missed: float | None) -> str:
    x = _DAY_WIDTH + hour * _STEP
    if missed is None:
        return f'<rect class="out" x="{x}" y="{y}" width="{_CELL}" height="{_CELL}"/>'
    shade = next(name for limit, name in _SHADES if missed <= limit)
    title = f"<title>{escape(day.day)} {hour:02d}:00: {share(missed)} missed</title>" if missed else ""
    return f'<rect class="{shade}" x="{x}" y="{y}" width="{_CELL}" height="{_CELL}">{title}</rect>'
