"""Commands that are processes of an installation: `up` and each of its parts."""
# ruff: noqa: PLC0415 -- a process loads what it runs and nothing else: a listener stays below 80 MB

from __future__ import annotations

import contextlib
import os
import signal
import sys
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import typer

from ingestor import errors
from ingestor.cli.options import HomeOption, hand_down, home_of, overrides_of, settings_of
from ingestor.cli.places import require_data_dir, require_port
from ingestor.queue.pools import POOLS, node_command
from ingestor.settings import HomeSettings, Settings
from ingestor.settings_pools import MOST_NODES

_PANEL = "Processes"


class ListenerKind(StrEnum):
    """What a listener speaks."""

    WEBSOCKET = "websocket"
    MQTT = "mqtt"


class WorkerType(StrEnum):
    """What a worker works on: a task type, the rare ones together, or all."""

    VALIDATE = "validate"
    ENRICH = "enrich"
    WRITE = "write"
    REGISTRY = "registry"
    HISTORY = "history"
    QUALITY = "quality"
    UPKEEP = "upkeep"
    WEATHER = "weather"
    RARE = "rare"
    ALL = "all"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (up, listen, worker, beat, api, flower):
        app.command(rich_help_panel=_PANEL)(command)
    app.command("restart-workers", rich_help_panel=_PANEL)(restart_workers)
    app.command(
        rich_help_panel=_PANEL,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        epilog="Its other options (load, MQTT, misbehaviour) are listed by `python -m ingestor.demo --help`.",
    )(demo)


def up(
    context: typer.Context,
    profile: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which defaults hold: standard, small or low-latency [HA_INGESTOR_PROFILE]."),
    ] = None,
) -> None:
    """Run everything under one supervisor: broker, listeners, workers, beat, Flower, API. Ctrl-C stops it."""
    if profile is not None:
        context.find_root().obj["profile"] = profile
    settings = hand_down(context)
    require_data_dir(settings.data_dir)
    _become("-m", "workers.supervisor")


def restart_workers(context: typer.Context) -> None:
    """Replace the workers of a running `up`, one node at a time: for an upgrade or new settings; nothing is lost."""
    from ingestor.cli.running import supervisor_pid

    pid = supervisor_pid(settings_of(context).data_dir)
    if pid is None:
        raise errors.BrokerUnavailable("no `ha-ingestor up` runs in this data folder")
    os.kill(pid, signal.SIGHUP)
    sys.stderr.write("asked the supervisor to replace its workers, one node at a time\n")


def listen(
    context: typer.Context,
    kind: Annotated[ListenerKind, typer.Argument(help="websocket (Home Assistant) or mqtt.")],
    home: HomeOption = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="LISTENER", help="Name of this listener, if a home has several.")
    ] = None,
) -> None:
    """Take a home's events from Home Assistant or from MQTT, journal them and enqueue them."""
    from ingestor.cli import listening

    settings = settings_of(context)
    require_data_dir(settings.data_dir)
    chosen = home_of(settings, home)
    listening.run(settings, chosen, kind.value, name or _listener_name(chosen, kind))


def _listener_name(home: HomeSettings, kind: ListenerKind) -> str:
    return home.homeassistant.listener if kind is ListenerKind.WEBSOCKET else home.mqtt.listener


def worker(
    context: typer.Context,
    task_type: Annotated[WorkerType, typer.Argument(metavar="TYPE", help="validate, enrich, write, …, rare or all.")],
    concurrency: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Processes [HA_INGESTOR_WORKERS__<TYPE>].")
    ] = None,
    number: Annotated[
        int, typer.Option(min=1, max=MOST_NODES, help="Number of this node among those of its type on this host.")
    ] = 1,
) -> None:
    """Work on one type of task: a Celery worker node of its own."""
    settings = hand_down(context)
    require_data_dir(settings.data_dir)
    _become(*worker_arguments(settings, task_type, concurrency, number))


def worker_arguments(settings: Settings, task_type: WorkerType, concurrency: int | None, number: int = 1) -> list[str]:
    """Return what Python is told to run a worker node."""
    return node_command(settings, task_type.value, concurrency or _processes(settings, task_type), number)


def _processes(settings: Settings, task_type: WorkerType) -> int:
    if task_type is WorkerType.ALL:
        return max(settings.workers.together, 1)
    return settings.workers.processes_of(task_type.value) if task_type.value in POOLS else 1


def beat(context: typer.Context) -> None:
    """Enqueue what is due by schedule. Of several, one acts."""
    settings = hand_down(context)
    require_data_dir(settings.data_dir)
    _become("-m", "workers.beat")


def api(context: typer.Context) -> None:
    """Serve the HTTP API: health and metrics [HA_INGESTOR_API__HOST, HA_INGESTOR_API__PORT]."""
    from ingestor import bootstrap, logs
    from ingestor.api.app import create_app
    from ingestor.api.rpc.certificate import certificate_pair
    from ingestor.api.serving import ApiServer
    from ingestor.settings_writing import SettingsFile

    settings = settings_of(context)
    logs.set_up(settings.log)
    require_port(settings.api.host, settings.api.port, "HA_INGESTOR_API__PORT")
    if settings.grpc.enabled:
        require_port(settings.grpc.host, settings.grpc.port, "HA_INGESTOR_GRPC__PORT")
        certificate_pair(settings.grpc)
    require_data_dir(settings.data_dir)
    bootstrap.open_keyring(settings).key()  # one that cannot be used ends us here, with a sentence
    app = create_app(settings, settings_file=SettingsFile(overrides_of(context)))
    server = ApiServer(app, host=settings.api.host, port=settings.api.port)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise typer.Exit(1)


def flower(context: typer.Context) -> None:
    """Serve Flower, the queue monitor [HA_INGESTOR_FLOWER__HOST, …__PORT, …__USER, …__PASSWORD]."""
    from ingestor.cli.flower import flower_environment

    settings = hand_down(context)
    require_data_dir(settings.data_dir)
    require_port(settings.flower.host, settings.flower.port, "HA_INGESTOR_FLOWER__PORT")
    os.environ.update(flower_environment(settings))
    _become("-m", "workers.flower")


def demo(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of its WebSocket API [HA_INGESTOR_DEMO__PORT].")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="State changes a second [HA_INGESTOR_DEMO__RATE].")] = None,
    seed: Annotated[int | None, typer.Option(help="Which home and which day [HA_INGESTOR_DEMO__SEED].")] = None,
    entities: Annotated[int | None, typer.Option(help="How many entities [HA_INGESTOR_DEMO__ENTITIES].")] = None,
    *,
    faults: Annotated[
        str | None, typer.Option(help="Known faults: none, few or all [HA_INGESTOR_DEMO__FAULTS].")
    ] = None,
) -> None:
    """Simulate a home that speaks Home Assistant's WebSocket API; prints its address and token as JSON."""
    given: dict[str, Any] = {"demo.port": port, "demo.rate": rate, "demo.seed": seed, "demo.entities": entities}
    given["demo.faults"] = faults
    context.find_root().obj.update({name: value for name, value in given.items() if value is not None})
    settings = settings_of(context)

    from ingestor.cli import demo_home

    raise typer.Exit(demo_home.run(settings.demo, context.args, settings.data_dir))


def _become(*arguments: str) -> NoReturn:
    """Replace this process by another Python program: signals reach it without a middleman."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 -- our own interpreter and arguments
