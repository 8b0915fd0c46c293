"""The command `health`: whether the processes on this machine live and can do their work; asks no server."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingestor.cli.exit_codes import ExitCode
from ingestor.cli.options import JsonFlag, settings_of
from ingestor.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from ingestor.queue.vitals import Vitals


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Processes")(health)


def health(
    context: typer.Context,
    process: Annotated[
        str,
        typer.Argument(
            help="all; a kind: listener, worker, beat, api, flower, supervisor; a queue: write; a name: home:websocket."
        ),
    ] = "all",
    *,
    ready: Annotated[
        bool, typer.Option("--ready", help="Also fail where one lives and cannot do its work just now.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Tell whether each process of this data folder on this machine lives and is ready, and its version.

    Exit code 0 if there is one and all live, else 1. It asks no server: a broker that is away fails no worker.
    """
    from ingestor.queue.vitals import vitals_of  # noqa: PLC0415 -- only this command needs it

    settings = settings_of(context)
    found = vitals_of(settings.data_dir, process)
    if as_json:
        print_json([_as_object(one) for one in found])
    elif found:
        print_table(["process", "pid", "alive", "ready", "version", "since", ""], [_row(one) for one in found])
    if not found:
        say(f"no process {process!r} of the data folder {settings.data_dir} runs on this machine")
    if not is_well(found, ready=ready):
        raise typer.Exit(ExitCode.FAILED)


def is_well(found: Sequence[Vitals], *, ready: bool) -> bool:
    """Tell whether there is a process and all live; with `ready`, whether all can do their work, too."""
    return bool(found) and all(one.alive and (one.ready or not ready) for one in found)


def _as_object(one: Vitals) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "name": one.name,
        "pid": one.pid,
        "alive": one.alive,
        "ready": one.ready,
        "version": one.version,
        "started_s": one.started_s,
        "detail": one.detail,
    }


def _row(one: Vitals) -> list[str]:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.started_s))
    name = one.name if one.name.startswith(one.kind) else f"{one.kind} {one.name}"
    yes_no = ["yes" if value else "NO" for value in (one.alive, one.ready)]
    return [name, str(one.pid), *yes_no, one.version, since, one.detail]
