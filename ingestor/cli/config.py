"""Commands about settings: write a commented file, show what is in force, check it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ingestor import errors
from ingestor.cli.config_file import commented_file
from ingestor.cli.exit_codes import ExitCode
from ingestor.cli.files import whole_file
from ingestor.cli.options import JsonFlag, loaded, overrides_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.reading.config import shown_settings
from ingestor.settings_faults import explain
from ingestor.settings_sources import CONFIG_FILE, Loaded, try_settings


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Write, show and check the settings.")
    for command in (init, show, check):
        group.command()(command)
    app.add_typer(group, name="config", rich_help_panel="Settings and checks")


def init(
    file: Annotated[Path, typer.Argument(help="File to write.")] = Path(CONFIG_FILE),
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Write a settings file with every setting, commented out at its default."""
    if file.exists() and not force:
        raise errors.InvalidSettings(f"{file} is there already; --force overwrites it")
    with whole_file(file, private=True) as out:  # it may get tokens
        out.write(commented_file().encode())
    say(f"wrote {file}")


def show(context: typer.Context, *, as_json: JsonFlag = False) -> None:
    """Print the settings in force and where each came from; secrets are masked."""
    found = loaded(context)
    shown = shown_settings(found)
    if as_json:
        print_json(shown)
        return
    print_table(["setting", "value", "from"], [[row["key"], _cell(row["value"]), row["origin"]] for row in shown])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)


def check(context: typer.Context, *, as_json: JsonFlag = False) -> None:
    """Check the settings and name every fault at once; exit code 2 if there is one."""
    outcome = try_settings(overrides_of(context))
    faults = [] if isinstance(outcome, Loaded) else outcome
    if as_json:
        fields = ("key", "problem", "expected", "origin", "value", "variable")
        print_json({"ok": not faults, "faults": [{name: getattr(fault, name) for name in fields} for fault in faults]})
    elif faults:
        say(explain(faults))
    else:
        say("the settings are in order")
    if faults:
        raise typer.Exit(ExitCode.BAD_SETTINGS)
