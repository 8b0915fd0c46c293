"""Starts the demo home with what the settings say of it; further options are the demo's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ingestor.demo import __main__ as demo
from ingestor.settings_demo import DemoSettings

#: Where the data folder says what is wrong with the demo home on purpose.
TRUTH: Final = "demo-faults.json"


def run(settings: DemoSettings, further: Sequence[str], data_dir: Path) -> int:
    """Run the demo home until SIGTERM or SIGINT; return the exit code."""
    truth = [] if settings.faults == "none" else ["--truth", str(data_dir / TRUTH)]
    return demo.run([*truth, *demo_arguments(settings, further)])


def demo_arguments(settings: DemoSettings, further: Sequence[str]) -> list[str]:
    """Return the demo's arguments: settings first, so that what was typed wins."""
    named: dict[str, str | float] = {
        "port": settings.port,
        "entities": settings.entities,
        "rate": settings.rate,
        "seed": settings.seed,
    }
    named["faults"] = settings.faults
    return [*(word for name, value in named.items() for word in (f"--{name}", str(value))), *further]
