"""What those who listen now are told of problems that judging found: `device.error`; judges nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from ingestor.live.entry import Notice
from ingestor.quality.hours import HOUR_US
from ingestor.quality.model import Problem, ProblemKind, Scope
from ingestor.quality.subjects import Subject

#: What says that a device does not work as it should; the rest is about its data, or about us.
KINDS: Final = frozenset(
    {
        ProblemKind.FROZEN,
        ProblemKind.DEAD,
        ProblemKind.HUB_DEAD,
        ProblemKind.FLAPPING,
        ProblemKind.UNAVAILABLE,
        ProblemKind.CLOCK_OFF,
        ProblemKind.OUT_OF_BOUNDS,
        ProblemKind.SPIKES,
    }
)
#: What was found in hours that are longer over is for reports: nobody who listens now can do anything about it.
_NOW_US: Final = 3 * HOUR_US


def device_errors(
    home: str, hour_us: int, found: Iterable[Problem], subjects: Mapping[str, Subject], now_us: int
) -> list[Notice]:
    """Return a notice for each device and kind of problem found in an hour, with the entities that show it."""
    if hour_us + HOUR_US < now_us - _NOW_US:
        return []
    of: dict[tuple[str, ProblemKind], list[Problem]] = {}
    for one in found:
        device = _device(one, subjects)
        if device and one.kind in KINDS:
            of.setdefault((device, one.kind), []).append(one)
    return [_notice(home, hour_us, device, problems, subjects) for (device, _), problems in sorted(of.items())]


def _device(problem: Problem, subjects: Mapping[str, Subject]) -> str:
    if problem.scope is Scope.DEVICE:
        return problem.subject
    known = subjects.get(problem.subject) if problem.scope is Scope.ENTITY else None
    return known.device if known else ""


def _notice(home: str, hour_us: int, device: str, problems: list[Problem], subjects: Mapping[str, Subject]) -> Notice:
    first = problems[0]
    entities = [subjects[one.subject].entity_id for one in problems if one.scope is Scope.ENTITY]
    since_us = min(one.since_us for one in problems)
    data = {
        "problem": first.kind.value,
        "entities": entities,
        "since": datetime.fromtimestamp(since_us / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "evidence": first.evidence,
        "advice": first.advice,
    }
    notice_id = f"{home}~problem~{first.kind.value}~{device}~{hour_us}"
    return Notice(
        "device.error", notice_id, hour_us + HOUR_US, device, {key: value for key, value in data.items() if value}
    )
