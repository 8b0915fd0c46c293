"""The command group `home`: what is known of a home, its parts, and how they hang together."""

from __future__ import annotations

import typer

from ingestor.cli import home_alias, home_asking, home_learned, home_reading, home_traces, home_why


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="The home as it is known and as it was: its rooms, devices and automations, and how they hang together.",
        epilog="Examples: `ha-ingestor home list device` · `ha-ingestor home show entity sensor.hall --at 30d` · "
        "`ha-ingestor home alias sensor.new sensor.old` · `ha-ingestor home tree` · "
        "`ha-ingestor home uses light.kitchen` · `ha-ingestor home cycles`",
    )
    for part in (home_reading, home_alias, home_asking, home_learned, home_traces, home_why):
        part.register(group)
    app.add_typer(group, name="home", rich_help_panel="Reading")
