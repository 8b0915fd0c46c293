"""The command `ha-ingestor`: puts the command groups together and turns errors into exit codes."""

from __future__ import annotations

import sys

import typer

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
from ingestor.cli.exit_codes import MEANINGS, ExitCode
from ingestor.cli.failing import tell
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
        return _flushed(_run(arguments))
    except BrokenPipeError:
        return _enough()
    except Exception as error:  # noqa: BLE001 -- it is raised again where nothing is known of it
        return tell(error)


def _run(arguments: list[str] | None) -> int:
    try:
        build_app()(arguments, prog_name="ha-ingestor")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer and rich end by it, with 1
            return _enough()
        return end.code if isinstance(end.code, int) else ExitCode.OK if end.code is None else ExitCode.FAILED
    return ExitCode.OK


def _flushed(code: int) -> int:
    """Write what is left: what fails at exit ends in two lines of Python's, and 120."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _enough()
    return code


def _enough() -> ExitCode:
    """Who reads us (`head`) has enough: no failure. Python would complain once more when it flushes at exit."""
    sys.stdout = None
    return ExitCode.OK
