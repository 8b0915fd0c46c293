"""What is told of the runs of automations: that one was executed, or failed. Fetches none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ingestor.home.traces.model import ERROR, NOT_TRIED, Item, Run
from ingestor.live.entry import Notice
from ingestor.live.names import Name


def run_notices(home: str, runs: Iterable[Run], entity_ids: Mapping[Item, str]) -> list[Notice]:
    """Return a notice for each run of an automation that did anything; where conditions did not hold, none did."""
    return [
        _notice(home, run, entity_ids.get(run.item, f"{run.domain}.{run.item_id}"))
        for run in runs
        if run.domain == "automation" and run.result not in NOT_TRIED
    ]


def _notice(home: str, run: Run, entity_id: str) -> Notice:
    failed = run.result == ERROR or bool(run.error)
    data = {
        "entity_id": entity_id,
        "run_id": run.run_id,
        "result": run.result,
        "error": run.error,
        "trigger": run.trigger,
        "last_step": run.last_step,
        "duration_s": max(0, run.finished_us - run.started_us) / 1_000_000,
        "context_id": run.context_id,
    }
    name: Name = "automation.failed" if failed else "automation.executed"
    told = {key: value for key, value in data.items() if value != ""}
    return Notice(name, f"{home}~run~{run.run_id}", run.finished_us, entity_id, told)
