"""The names that processes share: task types, their queues, their tasks. Nothing else decides one."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class TaskType(StrEnum):
    """A kind of work with a queue and a worker pool of its own; the queue has the same name."""

    VALIDATE = "validate"
    ENRICH = "enrich"
    WRITE = "write"
    REGISTRY = "registry"
    HISTORY = "history"
    QUALITY = "quality"
    UPKEEP = "upkeep"
    WEATHER = "weather"


#: The way of an event: these queues are watched for depth.
PIPELINE: Final = (TaskType.VALIDATE, TaskType.ENRICH, TaskType.WRITE)
#: Seldom used types: they share one worker node.
RARE: Final = (TaskType.REGISTRY, TaskType.HISTORY, TaskType.QUALITY, TaskType.UPKEEP, TaskType.WEATHER)

VALIDATE_BATCH: Final = "tasks.validate.validate_batch"
ENRICH_BATCH: Final = "tasks.enrich.enrich_batch"
WRITE_BATCH: Final = "tasks.write.write_batch"
SYNC_REGISTRY: Final = "tasks.registry.sync_registry"
SYNC_ALL: Final = "tasks.registry.sync_all"
FETCH_TRACES: Final = "tasks.registry.fetch_traces"
FETCH_ALL_TRACES: Final = "tasks.registry.fetch_all_traces"
FILL_GAPS: Final = "tasks.history.fill_gaps"
NOTE_GAP: Final = "tasks.history.note_gap"
LOOK_FOR_GAPS: Final = "tasks.history.look_for_gaps"
EXPORT_STEP: Final = "tasks.exports.work_on"
LOOK_FOR_EXPORTS: Final = "tasks.exports.look_for_exports"
RECONCILE: Final = "tasks.quality.reconcile"
RECONCILE_ALL: Final = "tasks.quality.reconcile_all"
LOOK_AT_ATTRIBUTES: Final = "tasks.quality.look_at_attributes"
MAKE_REPORTS: Final = "tasks.reports.make_all"
MAKE_REPORT: Final = "tasks.reports.make"
WATCH_ALERTS: Final = "tasks.reports.watch_alerts"
DELIVER: Final = "tasks.reports.deliver"
JUDGE: Final = "tasks.quality_hours.judge"
JUDGE_ALL: Final = "tasks.quality_hours.judge_all"
LOOK_FOR_LIFE: Final = "tasks.quality_hours.look_for_life"
REFRESH_ALL_WEATHER: Final = "tasks.weather.refresh_all"
REFRESH_WEATHER: Final = "tasks.weather.refresh"
KEEP_HOUSE: Final = "tasks.upkeep.keep_house"
KEEP_LEDGER: Final = "tasks.upkeep.keep_ledger"
KEEP_OBSERVED: Final = "tasks.upkeep.keep_observed"
RETAIN: Final = "tasks.upkeep.retain"
TRIM_OBSERVED: Final = "tasks.upkeep.trim_observed"
SETTLE_CAUSES: Final = "tasks.upkeep.settle_causes"


def gap_noted_key(gap_id: str) -> str:
    """Return under which key the state server holds the end of a gap that the database has."""
    return f"ha_ingestor:gap:{gap_id}:noted"
