"""The command `doctor`: tries every connection and says in plain words what to do about each failure."""
# ruff: noqa: PLC0415 -- the servers' clients are loaded when they are tried

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from ingestor.cli.exit_codes import ExitCode
from ingestor.cli.options import JsonFlag, settings_of
from ingestor.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from ingestor.cli.finding import Finding

_MARKS: Final = {"ok": "ok", "warning": "WARNING", "failed": "FAILED", "unknown": "?"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Settings and checks")(doctor)


def doctor(context: typer.Context, *, as_json: JsonFlag = False) -> None:
    """Try every connection and say what to do about each failure; exit code 1 if something fails.

    A refused token is not tried again: Home Assistant bans addresses.
    """
    from ingestor.cli.doctor_homes import examine_homes
    from ingestor.cli.doctor_outgoing import examine_outgoing
    from ingestor.cli.doctor_servers import examine_servers

    settings = settings_of(context)
    findings: list[Finding] = [*examine_servers(settings), *examine_homes(settings), *examine_outgoing(settings)]
    failed = [finding for finding in findings if finding.verdict == "failed"]
    if as_json:
        print_json({"ok": not failed, "findings": [finding.as_dict() for finding in findings]})
    else:
        rows = [[_MARKS[found.verdict], found.subject, found.says, found.advice] for found in findings]
        print_table(["", "what", "found", "what to do"], rows)
        say(f"{len(failed)} of {len(findings)} checks failed" if failed else "nothing failed")
    if failed:
        raise typer.Exit(ExitCode.FAILED)
