"""The command `logs level`: how much running processes say, for a while."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from ingestor import bootstrap
from ingestor.cli.options import settings_of

_LONGEST_S = 86_400


class LevelName(StrEnum):
    """From which level on a process logs."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(no_args_is_help=True, help="What running processes log.")
    group.command("level")(level)
    group.callback()(_logs)
    app.add_typer(group, name="logs", rich_help_panel="Processes")


def _logs() -> None:
    """Change what running processes log."""


def level(
    context: typer.Context,
    name: Annotated[LevelName, typer.Argument(metavar="LEVEL", case_sensitive=False, help="debug, info, …")],
    process: Annotated[
        str,
        typer.Option(
            "--process", help="all; a kind: listener, worker, beat, supervisor, api; a name: enrich, home:websocket."
        ),
    ] = "all",
    minutes: Annotated[
        int, typer.Option("--for", min=1, max=_LONGEST_S // 60, metavar="MINUTES", help="For how long; a day at most.")
    ] = 60,
) -> None:
    """Have running processes log from LEVEL on, for an hour or as long as said; then their settings hold again."""
    bootstrap.open_status_board(settings_of(context)).want_level(process, name.value, minutes * 60)
    sys.stderr.write(
        f"{process}: {name.value} within some seconds, for {minutes} min; lasting is HA_INGESTOR_LOG__LEVEL alone\n"
    )
