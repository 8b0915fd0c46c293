"""The command `ledger`: what became of every event, by hour and source, and in words whether the balance holds."""
# ruff: noqa: PLC0415 -- the database and the state server's client are loaded when they are asked

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ingestor import errors
from ingestor.cli.events import parse_time
from ingestor.cli.exit_codes import ExitCode
from ingestor.cli.options import JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.events.counts import Counts, hour_of
from ingestor.wording import number_of

if TYPE_CHECKING:
    from ingestor.settings import Settings
    from ingestor.storage.ledger import LedgerRow

_NS: Final = 1_000_000_000
_OUTCOMES: Final = ("written", "duplicate", "rejected", "filtered")
_COLUMNS: Final = ("hour", "home", "source", "received", *_OUTCOMES, "in flight", "lost", "read back", "")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        rich_help_panel="Reading",
        epilog="Examples: `ha-ingestor ledger --since 24h` · `ha-ingestor ledger --home cabin --json`",
    )(ledger)


def ledger(
    context: typer.Context,
    *,
    since: Annotated[
        str, typer.Option(metavar="AGE|TIME", help="From the hour of this time on: 24h, 7d, or an ISO time.")
    ] = "24h",
    home: Annotated[str | None, typer.Option("--home", metavar="NAME", help="Only this home.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Print what became of every event received, by hour and source, and whether the balance holds.

    Ends with code 1 where events are lost and were not read back, or a row does not balance.
    """
    settings = settings_of(context)
    wanted = home_of(settings, home).name if home else None
    rows, stale = _read(settings, wanted, hour_of(parse_time(since, time.time_ns())))
    total = Counts()
    for row in rows:
        total.add(row.counts)
    words = verdict(rows, total)
    if as_json:
        figures = {"rows": [as_object(row) for row in rows], "total": _figures(total)}
        print_json({**figures, "verdict": words, "newest_missing": stale})
    elif rows:
        print_table(list(_COLUMNS), [*map(_line, rows), _cells("total", "", "", total)])
    if stale:
        say(f"the newest counts are not among these: {stale}")
    if not as_json:
        say(words)
    if any(row.counts.missing for row in rows) or not all(row.counts.balances for row in rows):
        raise typer.Exit(ExitCode.FAILED)


def _read(settings: Settings, home: str | None, since_s: int) -> tuple[list[LedgerRow], str]:
    """Return the rows, and why what listeners counted last is not in them; usually nothing."""
    from ingestor import bootstrap
    from ingestor.pipeline.ledger import bring_in

    found, stale = bootstrap.open_ledger(settings), ""
    try:
        bring_in(bootstrap.open_ledger_post(settings, bootstrap.open_state(settings)), found)
    except errors.StateUnavailable as error:
        stale = str(error)
    return found.rows(home=home, since_s=since_s), stale


def verdict(rows: Sequence[LedgerRow], total: Counts) -> str:
    """Say in a sentence whether everything that was received is accounted for."""
    if not rows:
        return "nothing was received in that time"
    wrong = [row for row in rows if not row.counts.balances]
    words = [f"{len(wrong)} of {number_of(len(rows), 'row')} not in balance, first {_named(wrong[0])}"] if wrong else []
    if total.lost:
        words.append(_loss(rows, total))
    if not words:
        words = ["everything balances, nothing is lost"]
    elif not wrong:
        words.append("all else balances")
    if total.in_flight > 0:
        words.append(f"{number_of(total.in_flight, 'frame')} still in flight")
    return "; ".join(words)


def _loss(rows: Sequence[LedgerRow], total: Counts) -> str:
    lost = f"{number_of(total.lost, 'event')} lost"
    missing = [row for row in rows if row.counts.missing]
    if not missing:
        return f"{lost}, of these {total.recovered:,} read back from history"
    back = f", of these {total.recovered:,} read back" if total.recovered else ""
    return f"{lost}{back}, first {_named(missing[0])} (see `ha-ingestor gaps`)"


def as_object(row: LedgerRow) -> dict[str, Any]:
    """Return a row as the JSON object that is printed."""
    return {"hour": _moment(row.hour_s).isoformat(), "home": row.home, "source": row.source, **_figures(row.counts)}


def _figures(counts: Counts) -> dict[str, Any]:
    return {
        "received": counts.total,
        **{name: getattr(counts, name) for name in _OUTCOMES},
        "in_flight": counts.in_flight,
        "lost": counts.lost,
        "recovered": counts.recovered,
        "balances": counts.balances,
    }


def _line(row: LedgerRow) -> list[str]:
    return _cells(f"{_moment(row.hour_s).astimezone():%Y-%m-%d %H:%M}", row.home, row.source, row.counts)


def _cells(hour: str, home: str, source: str, counts: Counts) -> list[str]:
    *numbers, balances = _figures(counts).values()
    note = "DOES NOT BALANCE" if not balances else "LOST" if counts.missing else ""
    return [hour, home, source, *(f"{number:,}" for number in numbers), note]


def _named(row: LedgerRow) -> str:
    return f"{row.home}/{row.source} in the hour of {_moment(row.hour_s).astimezone():%Y-%m-%d %H:%M}"


def _moment(hour_s: int) -> datetime:
    return datetime.fromtimestamp(hour_s, UTC)
