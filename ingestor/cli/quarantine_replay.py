"""Runs a replay from the command line: connects, shows how far it is, tells how it ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ingestor import bootstrap, metrics
from ingestor.pipeline.replay import Replayer, Tally
from ingestor.queue.app import make_app
from ingestor.queue.producer import Producer
from ingestor.settings import Settings
from ingestor.storage.quarantine import Quarantine
from ingestor.wording import number_of


def run(settings: Settings, quarantine: Quarantine, ids: Sequence[int], patience_s: float) -> Tally:
    """Send pieces and wait for them. Raises Transient errors; what was under way is taken up by the next run."""
    metrics.start(settings.data_dir / "metrics")
    tasks = Producer(make_app(settings.broker_url))
    done = bootstrap.open_done_marks(bootstrap.open_state(settings))
    try:
        return Replayer(quarantine, tasks, done).run(ids, patience_s=patience_s, progress=_progress)
    finally:
        tasks.close()


def sentence(tally: Tally) -> str:
    """Return how it ended."""
    outcomes = ", ".join(f"{count:,} {name}" for name, count in sorted(tally.events.items())) or "none"
    kept = f"{tally.failed:,} failed again and stay"
    waiting = f", {tally.waiting:,} nobody answered for" if tally.waiting else ""
    elsewhere = f", {tally.elsewhere:,} ended by another replay or dropped" if tally.elsewhere else ""
    ended = f"{tally.left:,} left the quarantine, {kept}{elsewhere}{waiting}"
    return f"{number_of(tally.chosen, 'piece')}: {ended}; events: {outcomes}"


def as_object(tally: Tally) -> dict[str, Any]:
    """Return a tally as a JSON object."""
    return asdict(tally)


def none_sent(chosen: int) -> dict[str, Any]:
    """Return the object of a replay that sent nothing: of so many pieces."""
    return as_object(Tally(chosen))


def _progress(tally: Tally) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{tally.left + tally.failed + tally.elsewhere:,} of {number_of(tally.chosen, 'piece')} …\r")
