"""The command `key`: shows the key that opens the API, or makes a new one."""
# ruff: noqa: PLC0415 -- loaded when it is asked

from __future__ import annotations

from typing import Annotated

import typer

from ingestor.cli.options import settings_of
from ingestor.cli.output import say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        rich_help_panel="Settings and checks",
        epilog='Example: `curl -H "X-API-Key: $(ha-ingestor key)" http://127.0.0.1:8080/api/version`',
    )(key)


def key(
    context: typer.Context,
    *,
    renew: Annotated[
        bool, typer.Option("--renew", help="Make a new one first; the old one opens nothing from then on.")
    ] = False,
) -> None:
    """Print the key that opens the API; made at the first start, kept in the data folder."""
    from ingestor import bootstrap
    from ingestor.managing.workers import whoever_runs_this
    from ingestor.security.audit import Audit

    settings = settings_of(context)
    keys = bootstrap.open_keyring(settings)
    if renew:
        if settings.api.key is None:  # else it cannot be done
            Audit(settings.data_dir).note(whoever_runs_this(), "api_key.renew", {})
        say("a new key, in force at once; open streams end")
    typer.echo(keys.renew() if renew else keys.key())
