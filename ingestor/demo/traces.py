"""What the demo home's automations and scripts did, step by step, as Home Assistant remembers it: five runs of each."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ingestor.demo.wire import Context, iso

_KEPT: Final = 5


@dataclass(slots=True)
class Step:
    """One step of a run."""

    path: str
    time_us: int
    variables: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    error: str = ""
    child: Run | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the step as `trace/get` shows it."""
        told: dict[str, Any] = {"path": self.path, "timestamp": iso(self.time_us)}
        if self.child is not None:
            domain, item_id, run_id = self.child.domain, self.child.item_id, self.child.run_id
            told["child_id"] = {"domain": domain, "item_id": item_id, "run_id": run_id}
        if self.variables:
            told["changed_variables"] = self.variables
        if self.error:
            told["error"] = self.error
        if self.result is not None:
            told["result"] = self.result
        return told


@dataclass(slots=True)
class Run:
    """One run of an automation or a script; a script has no trigger."""

    domain: str
    item_id: str
    run_id: str
    config: dict[str, Any]
    context: Context
    started_us: int
    trigger: str | None = None
    finished_us: int | None = None
    execution: str | None = None
    error: str = ""
    steps: list[Step] = field(default_factory=list)

    def add(self, path: str, time_us: int, **variables: Any) -> Step:
        """Begin a step."""
        self.steps.append(Step(path, time_us, variables))
        return self.steps[-1]

    def finish(self, execution: str, time_us: int, error: str = "") -> None:
        """End the run."""
        self.execution, self.finished_us, self.error = execution, time_us, error

    def in_short(self) -> dict[str, Any]:
        """Return the run as `trace/list` shows it."""
        finish = None if self.finished_us is None else iso(self.finished_us)
        return {
            "last_step": self.steps[-1].path if self.steps else None,
            "run_id": self.run_id,
            "state": "running" if finish is None else "stopped",
            "script_execution": self.execution,
            "timestamp": {"start": iso(self.started_us), "finish": finish},
            "domain": self.domain,
            "item_id": self.item_id,
            **({"error": self.error} if self.error else {}),
            **({"trigger": self.trigger} if self.domain == "automation" else {}),
        }

    def whole(self) -> dict[str, Any]:
        """Return the run as `trace/get` shows it."""
        trace: dict[str, list[dict[str, Any]]] = {}
        for step in self.steps:
            trace.setdefault(step.path, []).append(step.as_dict())
        about = {"config": self.config, "blueprint_inputs": None, "context": self.context.as_dict()}
        return {**self.in_short(), "trace": trace, **about}


class Traces:
    """The newest runs of each automation and script."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], deque[Run]] = {}
        self._number = 0

    def begin(self, item: tuple[str, str], config: dict[str, Any], context: Context, time_us: int) -> Run:
        """Begin a run; the oldest of that automation or script is forgotten."""
        self._number += 1
        run_id = hashlib.md5(f"{self._number} {context.id}".encode(), usedforsecurity=False).hexdigest()
        run = Run(*item, run_id, config, context, time_us)
        self._runs.setdefault(item, deque(maxlen=_KEPT)).append(run)
        return run

    def of(self, domain: str | None, item_id: str | None = None) -> Iterator[Run]:
        """Yield the runs of one automation or script, of all of a kind, or all."""
        for (of_domain, of_item), runs in self._runs.items():
            if domain in (None, of_domain) and item_id in (None, of_item):
                yield from runs
