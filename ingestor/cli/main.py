"""The command `ha-ingestor`: puts the command groups together and turns errors into exit codes."""

from __future__ import annotations

import sys

import typer

from ingestor import errors
from ingestor.cli import (
    config,
    doctor,
    events,
    export,
    export_jobs,
    gaps,
    health,
    home,
    key,
    ledger,
    logs_level,
    processes,
    quality,
    quarantine,
    reconcile,
    retention,
    status,
    topics,
    webhooks,
    workers,
)
from ingestor.cli.advice import told
from ingestor.cli.exit_codes import MEANINGS, ExitCode
from ingestor.cli.options import global_options

_EPILOG = (
    "Examples: `ha-ingestor up` · `ha-ingestor events --entity 'sensor.*' --since 1h` · `ha-ingestor doctor`. "
    "Settings: command line > environment > .env > ha-ingestor.toml > default; "
    "HA_INGESTOR_<KEY>_FILE reads a value from a file. Exit codes: "
    + "; ".join(f"{code.value} {meaning}" for code, meaning in MEANINGS.items())
    + "."
)


def build_app() -> typer.Typer:
    """Return the command line with every command."""
    app = typer.Typer(
        name="ha-ingestor", no_args_is_help=True, pretty_exceptions_enable=False, epilog=_EPILOG, add_completion=False
    )
    app.callback()(global_options)
    for group in (
        processes,
        workers,
        config,
        doctor,
        events,
        export,
        export_jobs,
        status,
        home,
        gaps,
        health,
        reconcile,
        retention,
        quarantine,
        quality,
        ledger,
        webhooks,
        topics,
        key,
        logs_level,
    ):
        group.register(app)
    return app


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    try:
        build_app()(arguments, prog_name="ha-ingestor")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer and rich end by it, with 1
            return _enough()
        return end.code if isinstance(end.code, int) else ExitCode.OK if end.code is None else ExitCode.FAILED
    except errors.IngestorError as error:
        typer.echo(told(error), err=True)
        return exit_code_of(error)
    except BrokenPipeError:
        return _enough()
    return ExitCode.OK


def _enough() -> ExitCode:
    """Who reads us (`head`) has enough: no failure. Python would complain once more when it flushes at exit."""
    sys.stdout = None
    return ExitCode.OK


def exit_code_of(error: errors.IngestorError) -> ExitCode:
    """Return what the supervisor and scripts are told about an error."""
    if isinstance(error, errors.InvalidSettings | errors.Unanswerable):
        return ExitCode.BAD_SETTINGS
    if isinstance(error, errors.AuthenticationRefused | errors.StoreRefused):
        return ExitCode.REFUSED
    return ExitCode.UNAVAILABLE if isinstance(error, errors.Transient) else ExitCode.FAILED
