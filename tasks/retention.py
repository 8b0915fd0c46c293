"""The work of the task `retain`: a step of deleting what is older than it is to be kept; nothing without a setting."""

from __future__ import annotations

import time
from typing import Final

import structlog

from ingestor import errors
from ingestor.managing.retention import BY_SCHEDULE, Retention, before_of
from ingestor.queue.locking import only_one
from ingestor.security.audit import Audit
from tasks.resources import Resources

_log: Final = structlog.get_logger("tasks")
#: Below a task's 20 s (rule 19), and not long enough to keep others from the node.
_STEP_S: Final = 6.0
_LOCK_S: Final = 40.0


def delete_outdated(held: Resources) -> bool:
    """Delete for some seconds; return whether there is more to delete. Raises nothing that a later run would mend."""
    days = held.settings.retention.days
    if days is None:
        return False
    feed = held.live_feed
    retention = Retention(held.store, held.state, Audit(held.settings.data_dir), feed.notify if feed else None)
    try:
        with only_one(held.state, "retention", for_s=_LOCK_S) as mine:
            if not mine:
                return False
            done = retention.step(BY_SCHEDULE, before_of(days), for_s=_STEP_S)
    except (errors.IngestorError, OSError) as error:
        _log.warning("retention_failed", error=str(error), kind=type(error).__name__)
        return False
    if done.deleted:
        _log.info("events_deleted", events=sum(one.events for one in done.deleted), days=days)
    return not done.over


def oldest_kept_ns(held: Resources) -> int | None:
    """Return before which time (Unix ns) pieces in quarantine go; None: they stay."""
    kept_s = held.settings.quarantine.max_age_s
    found = [time.time_ns() - int(kept_s * 1e9)] if kept_s else []
    if held.settings.retention.days is not None:
        found.append(before_of(held.settings.retention.days))
    return max(found, default=None)
