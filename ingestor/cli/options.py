"""Options that commands share, and how a command gets its settings; knows no command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ingestor import errors, logs
from ingestor.settings import HomeSettings, Settings
from ingestor.settings_sources import CONFIG_VARIABLE, Loaded, load_settings
from ingestor.settings_variables import as_variables

#: What a database can number.
LARGEST_ID: Final = 2**63 - 1
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
HomeOption = Annotated[
    str | None, typer.Option("--home", metavar="NAME", help="Name of the home [HA_INGESTOR_HOME]; default: the first.")
]


def global_options(  # one parameter an option: that is how typer reads them
    context: typer.Context,
    *,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="PATH", help="Where everything is kept [HA_INGESTOR_DATA_DIR].")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Settings file, default ha-ingestor.toml [HA_INGESTOR_CONFIG]."),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any setting, such as api.port=8081; may be repeated [HA_INGESTOR_API__PORT].",
        ),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="auto, human or json [HA_INGESTOR_LOG__FORMAT].")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error [HA_INGESTOR_LOG__LEVEL].")
    ] = None,
    version: Annotated[  # noqa: ARG001 -- its callback does all
        bool,
        typer.Option(
            "--version", callback=lambda wanted: _show_version(wanted=wanted), is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Keep every event of a home that runs Home Assistant: clean, in context, with nothing lost."""
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config.absolute())
    given = {"data_dir": data_dir and data_dir.absolute(), "log.format": log_format, "log.level": log_level}
    overrides = {name: value for name, value in given.items() if value is not None}
    context.obj = overrides | _assigned(assignments or [])


def _show_version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 -- costs 20 ms that no other command needs

        typer.echo(f"ha-ingestor {version('ha-ingestor')}")
        raise typer.Exit


def _assigned(assignments: list[str]) -> dict[str, str]:
    found = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise typer.BadParameter(f"{assignment!r} is not KEY=VALUE", param_hint="--set")
        found[name.strip()] = value
    return found


def loaded(context: typer.Context) -> Loaded:
    """Read the settings as this command line changes them. Raises InvalidSettings."""
    return load_settings(overrides_of(context))


def settings_of(context: typer.Context) -> Settings:
    """Return the settings as this command line changes them, with logs on standard error. Raises InvalidSettings."""
    settings = loaded(context).settings
    logs.set_up_quietly(settings.log)
    return settings


def overrides_of(context: typer.Context) -> dict[str, Any]:
    """Return what the command line says, by dotted name."""
    found: dict[str, Any] = context.find_root().obj or {}
    return found


def hand_down(context: typer.Context) -> Settings:
    """Put what the command line says into the environment, for the processes that this one starts or becomes."""
    settings = settings_of(context)
    variables = as_variables({**overrides_of(context), "data_dir": settings.data_dir})
    for name in variables:
        os.environ.pop(f"{name}_FILE", None)  # a value and its file together would be a fault
    os.environ.update(variables)
    return settings


def home_of(settings: Settings, name: str | None) -> HomeSettings:
    """Return the home that is asked for. Raises InvalidSettings where there is none of that name."""
    home = settings.all_homes()[0] if name is None else settings.home_named(name)
    if home is None:
        known = ", ".join(known.name for known in settings.all_homes())
        raise errors.InvalidSettings(f"there is no home named {name!r}; configured: {known}")
    return home
