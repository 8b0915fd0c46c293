"""Which modules have the tasks of a queue; loads none."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def task_modules(routes: Mapping[str, Mapping[str, str]], queues: Collection[str] | None = None) -> list[str]:
    """Return the modules with the tasks of these queues, or of all: each has a route (celeryconfig)."""
    return [tasks.removesuffix(".*") for tasks, to in routes.items() if queues is None or to["queue"] in queues]
