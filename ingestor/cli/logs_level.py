"""The command `logs level`: how much running processes say, for a while."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ingestor import bootstrap, errors
from ingestor.cli.options import settings_of
from ingestor.logs_level import names_of

if TYPE_CHECKING:
    from ingestor.queue.status_board import StatusBoard

_LONGEST_S = 86_400
#: Entries of processes that hear of a level; others tell of more than one process.
_TELLING: Final = ("listener:", "worker:", "process:")


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
    board = bootstrap.open_status_board(settings_of(context))
    _require_process(board, process)
    board.want_level(process, name.value, minutes * 60)
    sys.stderr.write(
        f"{process}: {name.value} within some seconds, for {minutes} min; lasting is HA_INGESTOR_LOG__LEVEL alone\n"
    )


def _require_process(board: StatusBoard, process: str) -> None:
    """Raise NotFound where nobody of that name would hear of it."""
    called = [_names(key, entry) for key, entry in board.read().items() if key.startswith(_TELLING)]
    if any(process in names for names in called):
        return
    known = sorted({name.partition("@")[0] for names in called for name in names})
    there = f"there are: {', '.join(known)}" if known else "none tells that it runs: is `ha-ingestor up` running?"
    raise errors.NotFound(f"no process is called {process!r:.60}, so nothing was changed; {there}")


def _names(key: str, entry: Mapping[str, Any]) -> Iterable[str]:
    kind, _, name = key.partition(":")
    return names_of(str(entry.get("kind", kind)) if kind == "process" else kind, name)
