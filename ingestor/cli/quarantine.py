"""Commands about the quarantine; they read only."""
# ruff: noqa: PLC0415 -- the database is loaded when it is asked

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ingestor.cli.options import JsonFlag, settings_of
from ingestor.cli.output import print_json_line, print_table, say
from ingestor.storage.quarantine import Quarantined

_NS: int = 1_000_000_000
_SHOWN_BYTES = 80


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="What could not be used, and why.")
    group.command("list")(list_pieces)
    app.add_typer(group, name="quarantine", rich_help_panel="Reading")


def list_pieces(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Most pieces to print.")] = 50,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Print rejected pieces, newest first, with their reasons."""
    from ingestor import bootstrap

    quarantine = bootstrap.open_quarantine(settings_of(context))
    pieces = list(quarantine.list(limit))
    if as_json:
        for piece in pieces:
            print_json_line(_as_json(piece))
        return
    if not pieces:
        say("the quarantine is empty")
        return
    columns = ["received", "home", "source", "kind", "reason", "detail", "raw"]
    print_table(columns, [_row(piece) for piece in pieces])
    say(f"{len(pieces)} of {quarantine.count()} pieces")


def _as_json(piece: Quarantined) -> dict[str, Any]:
    return {
        "received": _time(piece.received_ns).astimezone(UTC).isoformat(),
        "batch_id": piece.batch_id,
        "slot": piece.slot,
        "home": piece.home,
        "source": piece.source,
        "kind": piece.kind,
        "topic": piece.topic,
        "reason": piece.reason,
        "detail": piece.detail,
        "raw": piece.raw.decode("utf-8", "backslashreplace"),
    }


def _row(piece: Quarantined) -> list[str]:
    raw = piece.raw[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")
    more = "…" if len(piece.raw) > _SHOWN_BYTES else ""
    when = f"{_time(piece.received_ns):%Y-%m-%d %H:%M:%S}"
    return [when, piece.home, piece.source, piece.kind or piece.topic, piece.reason, piece.detail, raw + more]


def _time(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns / _NS, UTC).astimezone()
