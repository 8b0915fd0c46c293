"""The command group `home`: what is known of a home, its parts, and how they hang together."""

from __future__ import annotations

import typer

from ingestor.cli import home_asking, home_learned


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="The home as it is known: its rooms, devices and automations, and how they hang together.",
        epilog="Examples: `ha-ingestor home tree` · `ha-ingestor home uses light.kitchen` · `ha-ingestor home cycles`",
    )
    home_asking.register(group)
    home_learned.register(group)
    app.add_typer(group, name="home", rich_help_panel="Reading")
