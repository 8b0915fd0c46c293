"""Starts the demo home as its own process would."""

from __future__ import annotations

from ingestor import logs
from ingestor.demo import main as demo
from ingestor.settings import Settings


def run(settings: Settings, token: str | None) -> None:
    """Run the demo home until SIGTERM or SIGINT."""
    logs.set_up(settings.log)
    demo.run(settings.demo, token=token)
