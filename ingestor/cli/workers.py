"""Commands about the pools of workers: `workers` shows them, `scale` changes how many nodes they have."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from ingestor import bootstrap, errors
from ingestor.cli.options import JsonFlag, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.queue.pools import POOLS, WantedNodes, most_nodes, pool_of
from ingestor.queue.status_board import StatusBoard
from ingestor.settings import Settings

_PANEL: Final = "Processes"
#: A node is at work some seconds after it was started, on a small machine after some more.
_WAIT_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.25
_COLUMNS: Final = (
    *("type", "host", "nodes", "wanted", "processes", "busy", "tasks"),
    *("holds", "oldest held", "waiting", "oldest waiting"),
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=_PANEL)(workers)
    app.command(rich_help_panel=_PANEL)(scale)


def workers(context: typer.Context, *, json_output: JsonFlag = False) -> None:
    """List the pools of workers: type, host, nodes, processes, load, and the age of what they hold."""
    board = StatusBoard(bootstrap.open_state(settings_of(context))).read()
    pools = list(_pools(board))
    if json_output:
        print_json({"pools": pools, "nodes": [_node(name, entry) for name, entry in _of("worker", board)]})
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
    board = StatusBoard(state)
    hosts = _hosts(board.read(), host)
    WantedNodes(state).set(wanted, host)
    told = " ".join(f"{pool}={number or 'default'}" for pool, number in wanted.items())
    say(f"asked {', '.join(hosts)} for {told}")
    _await(board, hosts, wanted)


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
    most = most_nodes(settings, pool)
    if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004 -- more digits than any number of nodes has
        raise errors.InvalidSettings(f"{pool}={text}: {text!r} is not a number from 1 to {most}")
    number = int(text)
    if number == 0:
        raise errors.InvalidSettings(f"{pool}=0 would stop all that is ingested; the least is 1")
    if number > most:
        reason = "SQLite is written best by one process (HA_INGESTOR_STORAGE__URL)" if most == 1 else "on each host"
        raise errors.InvalidSettings(f"{pool}={number}: the most is {most}, {reason}")
    return number


def _hosts(board: Mapping[str, Mapping[str, Any]], host: str | None) -> list[str]:
    """Return the hosts that will do it. Raises NobodyListens."""
    known = [str(entry.get("host", name)) for name, entry in _of("pools", board)]
    if not known:
        raise errors.NobodyListens(
            "no `ha-ingestor up` listens on any host, so nothing was changed; workers that were started otherwise "
            "(Compose, systemd) are scaled by what started them"
        )
    if host is not None and host not in known:
        raise errors.NobodyListens(f"no `ha-ingestor up` listens on host {host!r}; on: {', '.join(sorted(known))}")
    return sorted(known) if host is None else [host]


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


def _of(kind: str, board: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, entry in board.items():
        if key.startswith(f"{kind}:"):
            yield key.partition(":")[2], entry


def _node(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, **entry, "type": pool_of(name)}


def _pools(board: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what is known of each pool on each host."""
    nodes: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for name, entry in _of("worker", board):
        nodes.setdefault((pool_of(name), str(entry.get("host", ""))), []).append(entry)
    told = {
        (pool, host): of_pool
        for host, entry in _of("pools", board)
        for pool, of_pool in (entry.get("pools") or {}).items()
    }
    order = {pool: number for number, pool in enumerate(POOLS)}
    for pool, host in sorted({*nodes, *told}, key=lambda key: (order.get(key[0], len(order)), key)):
        yield _sum(pool, host, nodes.get((pool, host), []), told.get((pool, host)))


def _sum(pool: str, host: str, nodes: Sequence[Mapping[str, Any]], told: Mapping[str, Any] | None) -> dict[str, Any]:
    processes = sum(int(node.get("processes", 1)) for node in nodes)
    busy = sum(float(node.get("busy", 0)) * int(node.get("processes", 1)) for node in nodes)
    asked = told or {}
    return {
        "type": pool,
        "host": host,
        "nodes": len(nodes),
        "wanted": asked.get("wanted"),
        "least": asked.get("least"),
        "most": asked.get("most"),
        "processes": processes,
        "busy": round(busy / processes, 2) if processes else 0.0,
        "tasks": sum(int(node.get("tasks", 0)) for node in nodes),
        "holds": sum(int(node.get("holds", 0)) for node in nodes),
        "oldest_held_s": max((float(node.get("oldest_s", 0)) for node in nodes), default=0.0),
        "waiting": asked.get("waiting"),
        "oldest_waiting_s": asked.get("oldest_s"),
    }


def _row(pool: Mapping[str, Any]) -> list[str]:
    wanted, most = pool["wanted"], pool["most"]
    bounds = "" if wanted is None else f"{wanted}" if most == pool["least"] else f"{wanted} ({pool['least']}-{most})"
    return [
        *(str(pool["type"]), str(pool["host"]), str(pool["nodes"]), bounds, str(pool["processes"])),
        *(f"{pool['busy']:.0%}", f"{pool['tasks']:,}", str(pool["holds"]), f"{pool['oldest_held_s']:.1f} s"),
        "" if pool["waiting"] is None else f"{pool['waiting']:,}",
        "" if pool["oldest_waiting_s"] is None else f"{pool['oldest_waiting_s']:.1f} s",
    ]
