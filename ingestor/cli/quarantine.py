"""Commands about the quarantine: look, send again, delete; each says what it did."""
# ruff: noqa: PLC0415 -- the database is loaded when it is asked

from __future__ import annotations

import sys
import time
from typing import Annotated, Final

import typer

from ingestor import errors
from ingestor.cli.event_options import parse_time
from ingestor.cli.options import LARGEST_ID, JsonFlag, settings_of
from ingestor.cli.output import print_json, print_json_line, print_table, say
from ingestor.cli.quarantine_shown import CAUSES, PIECES, cause_row, piece_row, shown
from ingestor.reading.quarantine import cause_object, piece_object
from ingestor.storage.quarantine import Chosen, Quarantine
from ingestor.wording import number_of

_ALL: Final = 1_000_000
_PieceId = typer.Argument(min=1, max=LARGEST_ID, metavar="ID", help="The piece's number, from `list`.")
_Ids = Annotated[
    list[int] | None,
    typer.Argument(min=1, max=LARGEST_ID, metavar="[ID]…", help="Pieces, as `list --pieces` numbers them."),
]
_CauseOption = Annotated[
    str | None, typer.Option("--cause", metavar="CAUSE", help="All pieces of a cause, as `list` names it.")
]
_AllFlag = Annotated[bool, typer.Option("--all", help="All pieces.")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="What could not be used, and why; to be sent again when the cause is cured.",
        epilog="Examples: `ha-ingestor quarantine list` · `ha-ingestor quarantine show 17` · "
        "`ha-ingestor quarantine replay --cause 3f2a9c01 --dry-run` · `ha-ingestor quarantine drop --older-than 30d`",
    )
    group.command("list")(list_pieces)
    group.command("show")(show)
    group.command("replay")(replay)
    group.command("drop")(drop)
    app.add_typer(group, name="quarantine", rich_help_panel="Reading")


def list_pieces(
    context: typer.Context,
    *,
    pieces: Annotated[bool, typer.Option("--pieces", help="Single pieces, newest first, instead of causes.")] = False,
    cause: _CauseOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Most lines to print.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """Print causes, that with most pieces first; or single pieces with their reasons."""
    quarantine = _open(context)
    alone = pieces or cause is not None
    found = quarantine.list(limit, Chosen(cause=cause or "")) if alone else []
    causes = [] if alone else quarantine.causes(limit)
    if as_json:
        for line in [*map(piece_object, found), *map(cause_object, causes)]:
            print_json_line(line)
        return
    if found:
        print_table(PIECES, map(piece_row, found))
    if causes:
        print_table(CAUSES, map(cause_row, causes))
    _say_totals(quarantine)


def show(
    context: typer.Context,
    piece_id: Annotated[int, _PieceId],
    as_json: JsonFlag = False,
) -> None:
    """Print everything about one piece: what happened, what to do, and its bytes (secrets stay redacted)."""
    found = _open(context).list(1, Chosen(ids=(piece_id,)))
    if not found:
        raise errors.IngestorError(f"there is no piece {piece_id}; `ha-ingestor quarantine list --pieces` lists them")
    if as_json:
        print_json(piece_object(found[0]))
        return
    for line in shown(found[0]):
        typer.echo(line)


def replay(
    context: typer.Context,
    ids: _Ids = None,
    *,
    cause: _CauseOption = None,
    everything: _AllFlag = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be sent.")] = False,
    patience_s: Annotated[
        float, typer.Option("--patience", min=1, metavar="SECONDS", help="Give up when nothing ends for so long.")
    ] = 60.0,
    as_json: JsonFlag = False,
) -> None:
    """Send pieces once more on the way of every event; what is stored leaves, what fails again stays.

    May be stopped and started again at any time: nothing is lost or stored twice.
    """
    from ingestor.cli import quarantine_replay

    chosen = _chosen(ids, cause, everything=everything)
    quarantine = _open(context)
    found = sorted(piece.id for piece in quarantine.list(_ALL, chosen))
    _require_ids(ids, found)
    if dry_run or not found:
        if as_json:
            print_json(quarantine_replay.none_sent(len(found)))
        say(f"{number_of(len(found), 'piece')} would be sent" if dry_run else "no piece fits")
        return
    tally = quarantine_replay.run(settings_of(context), quarantine, found, patience_s)
    if as_json:
        print_json(quarantine_replay.as_object(tally))
    say(quarantine_replay.sentence(tally))
    if tally.waiting:
        raise errors.BrokerUnavailable("no answer for what is left: do workers run? start the replay again then")


def _require_ids(ids: list[int] | None, found: list[int]) -> None:
    """Say which of the pieces asked for do not fit. Raises NotFound where none does."""
    missing = sorted(set(ids or ()) - set(found))
    if not missing:
        return
    words = f"there is no such piece: {', '.join(map(str, missing))}; `ha-ingestor quarantine list --pieces` lists them"
    if not found:
        raise errors.NotFound(words)
    say(words)


def drop(
    context: typer.Context,
    ids: _Ids = None,
    *,
    cause: _CauseOption = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE|TIME", help="Not seen since: 30d, 12h, or an ISO time.")
    ] = None,
    everything: _AllFlag = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete pieces for good."""
    not_since_ns = parse_time(older_than, time.time_ns()) if older_than else 0
    chosen = _chosen(ids, cause, everything=everything, not_seen_since_ns=not_since_ns)
    quarantine = _open(context)
    count = len(quarantine.list(_ALL, chosen))
    if not count:
        say("no piece fits")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter(f"{number_of(count, 'piece')} would be deleted for good: say --yes")
        typer.confirm(f"Delete {number_of(count, 'piece')} for good?", abort=True, err=True)
    say(f"{number_of(quarantine.drop(chosen), 'piece')} deleted")


def _chosen(ids: list[int] | None, cause: str | None, *, everything: bool, not_seen_since_ns: int = 0) -> Chosen:
    if not (ids or cause or everything or not_seen_since_ns):
        raise typer.BadParameter("say which pieces: ID…, --cause or --all")
    return Chosen(tuple(ids or ()), cause or "", not_seen_since_ns)


def _open(context: typer.Context) -> Quarantine:
    from ingestor import bootstrap

    return bootstrap.open_quarantine(settings_of(context))


def _say_totals(quarantine: Quarantine) -> None:
    totals = quarantine.totals()
    gone = f"; {totals.evicted} were pushed out by the limits so far" if totals.evicted else ""
    say(
        f"{number_of(totals.pieces, 'piece')}, {number_of(totals.bytes, 'byte')}{gone}"
        if totals.pieces or gone
        else "the quarantine is empty"
    )
