"""The options by which commands choose stored events, and the query that they come down to; knows no command."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final

import typer

from ingestor.reading.times import LAST_NS
from ingestor.storage.port import EventQuery

_NS: Final = 1_000_000_000
_DAY_NS: Final = 86_400 * _NS
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
#: Years that the system's time zones know; further out the zone does not matter.
_SAFE: Final = (2, 9998)
_AGE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Kind(StrEnum):
    """Which measurement."""

    STATE = "state"
    EVENT = "event"


EntityOption = Annotated[str | None, typer.Option(metavar="GLOB", help="Entity id, with * and ?.")]
SinceOption = Annotated[
    str | None, typer.Option(metavar="AGE|TIME", help="30s, 10m, 1h, 2d, or an ISO time; default: any.")
]
UntilOption = Annotated[str | None, typer.Option(metavar="AGE|TIME", help="As --since; default: now.")]
TypeOption = Annotated[str | None, typer.Option("--type", metavar="GLOB", help="Event type, with * and ?.")]
KindOption = Annotated[Kind | None, typer.Option(help="state: state changes only; event: all else.")]
OnlyHomeOption = Annotated[str | None, typer.Option("--home", metavar="NAME", help="Only this home.")]


def query_from(
    *,
    entity: str | None,
    since: str | None,
    until: str | None,
    event_type: str | None,
    kind: Kind | None,
    home: str | None,
    limit: int,
) -> EventQuery:
    """Return what these options ask a store for. Raises BadParameter."""
    since_ns, until_ns = _span(since, until, time.time_ns())
    return EventQuery(
        entity=entity,
        event_type=event_type,
        kind=kind.value if kind else None,
        home=home,
        since_ns=since_ns,
        until_ns=until_ns,
        limit=limit,
    )


def parse_span(since: str, until: str | None) -> tuple[int, int]:
    """Return the span that --since and --until (default: now) mean, in Unix nanoseconds. Raises BadParameter."""
    now_ns = time.time_ns()
    begin_ns, end_ns = _span(since, until, now_ns)
    return begin_ns or 0, now_ns if end_ns is None else end_ns


def _span(since: str | None, until: str | None, now_ns: int) -> tuple[int | None, int | None]:
    begin_ns = parse_time(since, now_ns) if since else None
    end_ns = parse_time(until, now_ns) if until else None
    if begin_ns is not None and end_ns is not None and begin_ns >= end_ns:
        raise typer.BadParameter(f"--since {since} is not before --until {until}")
    return begin_ns, end_ns


def parse_time(text: str, now_ns: int) -> int:
    """Return the time that an age (`1h`) or an ISO time means, in Unix nanoseconds; a time without zone is local.

    Raises BadParameter, also for a time that no store holds.
    """
    try:
        found = _time(text.strip(), now_ns)
    except OverflowError:
        found = None
    if found is None or not -_DAY_NS <= found <= LAST_NS:
        raise typer.BadParameter(f"{text!r} is before 1970 or after 2262: no store holds such a time")
    return max(found, 0)  # 1970 in any zone


def _time(text: str, now_ns: int) -> int:
    if age := _AGE.fullmatch(text):
        return now_ns - int(float(age[1]) * _UNIT_S[age[2]] * _NS)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither an age such as 90s, 10m, 1h, 2d nor an ISO time") from error
    zoned = moment if moment.tzinfo or not _SAFE[0] <= moment.year <= _SAFE[1] else _local(moment)
    # Whole microseconds: a float of nanoseconds would be off by hundreds.
    return (zoned.replace(tzinfo=zoned.tzinfo or UTC) - _EPOCH) // _MICROSECOND * 1000


def _local(moment: datetime) -> datetime:
    """Return a time without zone as that of this machine; one that a clock put forward leaves out counts on behind it.

    `astimezone` would take the latter for an hour earlier than `timestamp` does.
    """
    seconds = moment.replace(microsecond=0).timestamp()
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=moment.microsecond)
