"""Gaps in a report: how long nobody listened, and the calendar of it; knows only gaps and times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from ingestor.reports.document import CalendarDay, GapShown
from ingestor.storage.gaps import RECONCILE, GapRecord

_HOUR_US: Final = 3_600_000_000
_HOURS: Final = 24
#: A report on more days shows the last of them.
MOST_DAYS: Final = 62
MOST_GAPS: Final = 100
Span = tuple[int, int]


def listening_gaps(gaps: Iterable[GapRecord]) -> list[GapRecord]:
    """Return the times of not listening: what a comparison found missing is no such time."""
    return [gap for gap in gaps if gap.reason != RECONCILE]


def spans_within(gaps: Iterable[GapRecord], start_us: int, end_us: int) -> list[Span]:
    """Return when somebody did not listen, cut to a span and joined where they overlap."""
    cut = sorted((max(gap.start_us, start_us), min(gap.end_us or end_us, end_us)) for gap in gaps)
    joined: list[Span] = []
    for begin, end in cut:
        if begin >= end:
            continue
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def missed_us(spans: Iterable[Span], start_us: int, end_us: int) -> int:
    """Return how much of a time lies in the spans."""
    return sum(max(0, min(end, end_us) - max(begin, start_us)) for begin, end in spans)


def calendar(spans: Sequence[Span], start_us: int, end_us: int, zone: tzinfo) -> tuple[CalendarDay, ...]:
    """Return the days of a span with what was missed of each of 24 clock hours, also where clocks change."""
    first = datetime.fromtimestamp(start_us / 1e6, zone).date()
    last = datetime.fromtimestamp(max(start_us, end_us - 1) / 1e6, zone).date()
    first = max(first, last - timedelta(days=MOST_DAYS - 1))
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return tuple(_day(day, spans, start_us, end_us, zone) for day in days)


def _day(day: date, spans: Sequence[Span], start_us: int, end_us: int, zone: tzinfo) -> CalendarDay:
    shares: list[float | None] = []
    for hour in range(_HOURS):
        begin = int(datetime.combine(day, time(hour), zone).astimezone(UTC).timestamp()) * 1_000_000
        low, high = max(begin, start_us), min(begin + _HOUR_US, end_us)
        shares.append(round(missed_us(spans, low, high) / (high - low), 4) if low < high else None)
    return CalendarDay(day.isoformat(), tuple(shares))


def gaps_shown(gaps: Iterable[GapRecord], start_us: int, end_us: int) -> tuple[GapShown, ...]:
    """Return the gaps of a span as a report lists them, newest first."""
    within = [gap for gap in gaps if gap.start_us < end_us and (gap.end_us or end_us) > start_us]
    newest = sorted(within, key=lambda gap: -gap.start_us)[:MOST_GAPS]
    return tuple(
        GapShown(gap.start_us, gap.end_us, gap.listener, gap.reason, gap.state.value, gap.why, dict(gap.lost))
        for gap in newest
    )
