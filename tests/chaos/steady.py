"""Whether processes stay as they are under a steady load: judges samples of memory, files, connections; takes none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median

#: What a process takes in its first minutes is not growth: caches fill, code is loaded.
WARM_UP_S = 300.0
#: Beginning and end are compared by the medians of so long a time: one sample says little.
WINDOW_S = 120.0
MOST_GROWTH = 0.05
#: Of files and connections some come and go; a leak makes more than that in half an hour.
MOST_MORE = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at a moment, counted from the begin of the load."""

    at_s: float
    memory_mb: float
    files: int
    connections: int


@dataclass(slots=True)
class Series:
    """All samples of one process. `is_judged` is false for what is not ours: it is shown only."""

    name: str
    pid: int
    is_judged: bool = True
    samples: list[Sample] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A process at the end of the warm-up and at the end of the run. `fault` is empty where it stayed as it was."""

    name: str
    pid: int
    memory_mb: tuple[float, float]
    growth: float
    files: tuple[int, int]
    connections: tuple[int, int]
    fault: str = ""


def judge(found: Iterable[Series], seconds: float, *, warm_up_s: float = WARM_UP_S) -> list[Verdict]:
    """Judge every process of a run that was so long."""
    return [_judge_one(series, seconds, warm_up_s) for series in found if series.samples]


def _judge_one(series: Series, seconds: float, warm_up_s: float) -> Verdict:
    window_s = min(WINDOW_S, max(1.0, (seconds - warm_up_s) / 3))
    early = [sample for sample in series.samples if warm_up_s <= sample.at_s < warm_up_s + window_s]
    late = [sample for sample in series.samples if sample.at_s >= seconds - window_s]
    if not early or not late:
        return _unsettled(series, "ended before the end" if not late else "began after the warm-up")
    memory = _both(early, late, lambda sample: sample.memory_mb)
    files = _both(early, late, lambda sample: sample.files)
    connections = _both(early, late, lambda sample: sample.connections)
    growth = memory[1] / memory[0] - 1 if memory[0] else 0.0
    faults = [f"memory grew by {growth:.1%}"] if growth >= MOST_GROWTH else []
    faults += [f"{name} {first:g} → {last:g}" for name, (first, last) in _more(files, connections)]
    fault = "; ".join(faults) if series.is_judged else ""
    return Verdict(series.name, series.pid, memory, growth, _whole(files), _whole(connections), fault)


def _unsettled(series: Series, why: str) -> Verdict:
    first, last = series.samples[0], series.samples[-1]
    return Verdict(
        series.name,
        series.pid,
        (first.memory_mb, last.memory_mb),
        0.0,
        (first.files, last.files),
        (first.connections, last.connections),
        why if series.is_judged else "",
    )


def _more(files: tuple[float, float], connections: tuple[float, float]) -> list[tuple[str, tuple[float, float]]]:
    both = [("files", files), ("connections", connections)]
    return [(name, pair) for name, pair in both if pair[1] - pair[0] > MOST_MORE]


def _both(early: list[Sample], late: list[Sample], of: Callable[[Sample], float]) -> tuple[float, float]:
    return median(map(of, early)), median(map(of, late))


def _whole(pair: tuple[float, float]) -> tuple[int, int]:
    return round(pair[0]), round(pair[1])
