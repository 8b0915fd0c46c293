"""Commands about workers: `workers` shows their pools, `scale` changes their nodes, `pause` and `resume` their work."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from ingestor import bootstrap, errors
from ingestor.cli.options import JsonFlag, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.managing.workers import WorkerAdmin, check_number, whoever_runs_this
from ingestor.queue.names import TaskType
from ingestor.queue.pools import POOLS, most_nodes
from ingestor.queue.status_board import StatusBoard
from ingestor.reading.workers import read_nodes, read_pools
from ingestor.security.audit import Audit
from ingestor.settings import Settings

_PANEL: Final = "Processes"
#: A node is at work some seconds after it was started, on a small machine after some more.
_WAIT_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.25
_COLUMNS: Final = (
    *("type", "host", "nodes", "wanted", "processes", "busy", "tasks"),
    *("holds", "oldest held", "waiting", "oldest waiting"),
)
_Types = Annotated[list[TaskType], typer.Argument(metavar="TYPE …", help="Task types, such as write or quality.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (workers, scale, pause, resume):
        app.command(rich_help_panel=_PANEL)(command)


def workers(context: typer.Context, *, json_output: JsonFlag = False) -> None:
    """List the pools of workers: type, host, nodes, processes, load, and the age of what they hold."""
    board = StatusBoard(bootstrap.open_state(settings_of(context))).read()
    pools = read_pools(board)
    if json_output:
        print_json({"pools": pools, "nodes": read_nodes(board)})
    else:
        print_table(_COLUMNS, [_row(pool) for pool in pools])
    if not pools:
        say("no worker tells that it is there: is `ha-ingestor up` running?")


def scale(
    context: typer.Context,
    numbers: Annotated[
        list[str], typer.Argument(metavar="TYPE=N …", help="validate, enrich, write or rare; N nodes, or `default`.")
    ],
    host: Annotated[str | None, typer.Option("--host", metavar="HOST", help="Only on this host; default: all.")] = None,
) -> None:
    """Change how many worker nodes each host runs, at once and lastingly; `default`: as the settings say."""
    settings = settings_of(context)
    wanted = parse(settings, numbers)
    state = bootstrap.open_state(settings)
    hosts = WorkerAdmin(settings, state, Audit(settings.data_dir)).scale(whoever_runs_this(), wanted, host)
    told = " ".join(f"{pool}={number or 'default'}" for pool, number in wanted.items())
    say(f"asked {', '.join(hosts)} for {told}")
    _await(StatusBoard(state), hosts, wanted)


def pause(context: typer.Context, kinds: _Types) -> None:
    """Let no worker take tasks of these types until `resume`: what comes meanwhile waits, and nothing is lost."""
    _admin(context).pause(whoever_runs_this(), kinds)
    say(f"paused: {', '.join(kinds)}; what is in hand is finished, what comes waits until `ha-ingestor resume`")


def resume(context: typer.Context, kinds: _Types) -> None:
    """Let workers take tasks of these types again."""
    _admin(context).resume(whoever_runs_this(), kinds)
    say(f"resumed: {', '.join(kinds)}")


def _admin(context: typer.Context) -> WorkerAdmin:
    settings = settings_of(context)
    return WorkerAdmin(settings, bootstrap.open_state(settings), Audit(settings.data_dir))


def parse(settings: Settings, numbers: Sequence[str]) -> dict[str, int | None]:
    """Return the number of nodes by pool, None for the settings' own. Raises InvalidSettings."""
    found: dict[str, int | None] = {}
    for text in numbers:
        pool, equals, number = text.partition("=")
        if not equals or pool not in POOLS:
            raise errors.InvalidSettings(f"{text!r} is not TYPE=N with a type of {', '.join(POOLS)}")
        if pool in found:
            raise errors.InvalidSettings(f"{pool} is there twice")
        found[pool] = None if number == "default" else _number(settings, pool, number)
    return found


def _number(settings: Settings, pool: str, text: str) -> int:
    if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004 -- more digits than any number of nodes has
        raise errors.InvalidSettings(f"{pool}={text}: {text!r} is not a number from 1 to {most_nodes(settings, pool)}")
    check_number(settings, pool, int(text))
    return int(text)


def _await(board: StatusBoard, hosts: Sequence[str], wanted: Mapping[str, int | None]) -> None:
    """Wait until all nodes work, and say so. Raises NobodyListens where they do not in time."""
    begin = time.monotonic()
    while True:
        told = board.all()
        late = [f"{pool} on {host}" for host in hosts for pool in wanted if not _is_there(told, host, pool, wanted)]
        waited_s = time.monotonic() - begin
        if not late:
            say(f"done after {waited_s:.1f} s")
            return
        if waited_s > _WAIT_S:
            raise errors.NobodyListens(f"not there after {_WAIT_S:g} s: {', '.join(late)}; see `ha-ingestor workers`")
        time.sleep(_LOOK_EVERY_S)


def _is_there(board: Mapping[str, Mapping[str, Any]], host: str, pool: str, wanted: Mapping[str, int | None]) -> bool:
    told = (board.get(f"pools:{host}", {}).get("pools") or {}).get(pool, {})
    number = wanted[pool]
    # Above what was asked for are those that the load needs.
    asked = number is None or told.get("least") == number
    return bool(asked and told.get("running", -1) == told.get("wanted", -2))


def _row(pool: Mapping[str, Any]) -> list[str]:
    wanted, most = pool["wanted"], pool["most"]
    bounds = "" if wanted is None else f"{wanted}" if most == pool["least"] else f"{wanted} ({pool['least']}-{most})"
    return [
        *(str(pool["type"]), str(pool["host"]), str(pool["nodes"]), bounds, str(pool["processes"])),
        *(f"{pool['busy']:.0%}", f"{pool['tasks']:,}", str(pool["holds"]), f"{pool['oldest_held_s']:.1f} s"),
        "" if pool["waiting"] is None else f"{pool['waiting']:,}",
        "" if pool["oldest_waiting_s"] is None else f"{pool['oldest_waiting_s']:.1f} s",
    ]
