"""Starts the demo home with what the settings say of it; further options are the demo's own."""

from __future__ import annotations

from collections.abc import Sequence

from ingestor.demo import __main__ as demo
from ingestor.settings import DemoSettings


def run(settings: DemoSettings, further: Sequence[str]) -> int:
    """Run the demo home until SIGTERM or SIGINT; return the exit code."""
    return demo.run(demo_arguments(settings, further))


def demo_arguments(settings: DemoSettings, further: Sequence[str]) -> list[str]:
    """Return the demo's arguments: settings first, so that what was typed wins."""
    named = {"port": settings.port, "entities": settings.entities, "rate": settings.rate, "seed": settings.seed}
    return [*(word for name, value in named.items() for word in (f"--{name}", str(value))), *further]
