"""The command `ledger`: what became of every event, by hour and source, and in words whether the balance holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ingestor import bootstrap
from ingestor.cli.event_options import parse_time
from ingestor.cli.exit_codes import ExitCode
from ingestor.cli.options import JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.events.counts import Counts, hour_of
from ingestor.reading.ledger import OUTCOMES, figures, hour, read_ledger, row_object, verdict

if TYPE_CHECKING:
    from ingestor.storage.ledger import LedgerRow

_NS: Final = 1_000_000_000
_COLUMNS: Final = ("hour", "home", "source", "received", *OUTCOMES, "in flight", "lost", "read back", "")


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
    since_s = hour_of(parse_time(since, time.time_ns()))
    rows, stale = read_ledger(settings, bootstrap.open_metadata(settings), wanted, since_s)
    total = Counts()
    for row in rows:
        total.add(row.counts)
    words = verdict(rows, total)
    if as_json:
        told = {"rows": [row_object(row) for row in rows], "total": figures(total)}
        print_json({**told, "verdict": words, "newest_missing": stale})
    elif rows:
        print_table(list(_COLUMNS), [*map(_line, rows), _cells("total", "", "", total)])
    if stale:
        say(f"the newest counts are not among these: {stale}")
    if not as_json:
        say(words)
    if any(row.counts.missing for row in rows) or not all(row.counts.balances for row in rows):
        raise typer.Exit(ExitCode.FAILED)


def _line(row: LedgerRow) -> list[str]:
    return _cells(f"{hour(row.hour_s).astimezone():%Y-%m-%d %H:%M}", row.home, row.source, row.counts)


def _cells(hour: str, home: str, source: str, counts: Counts) -> list[str]:
    *numbers, balances = figures(counts).values()
    note = "DOES NOT BALANCE" if not balances else "LOST" if counts.missing else ""
    return [hour, home, source, *(f"{number:,}" for number in numbers), note]
