"""What so many homes need, from what was measured: a cost a batch and a cost an event for each stage; measures nothing.

`python -m tests.bench.model --write` writes its tables into docs/explanation/scale.md. The costs come from the table of
CPU in docs/reference/performance.md: two rates give the two costs of a stage, the rate between them is the check.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = _DOCS / "explanation" / "scale.md"
STAGES = ("listener", "broker", "validate", "enrich", "write", "store")
#: How long a batch is open by default (`batch.flush_after_s`).
_WINDOW_S = 0.025
#: How many a second one listener closed in the cases measured: their load comes every 10 ms, a window has three of it.
BATCHES_PER_S = 32.0
_LOW, _BETWEEN, _HIGH = 1_000, 5_000, 10_000
#: Measured with `tests.bench.case.broker_bytes`, batches of 1 and of 250 events.
_WAITING_BATCH_BYTES, _WAITING_EVENT_BYTES = 1_341, 48.6
#: Measured: a key of the duplicate check (rule 6), and what a listener process takes (docs/how-to/small-machines.md).
_WRITTEN_KEY_BYTES, _LISTENER_MB = 99, 54
_WRITTEN_WINDOW_S, _WRITTEN_MAX = 600, 500_000
#: A broker works in one thread; above this share of it everything waits.
_BROKER_FULL = 0.7
EVENTS_PER_S = 5.0
HOMES = (1, 100, 1_000, 10_000)


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU µs of a stage: for a batch, whatever is in it, and for each event of it."""

    batch_us: float
    event_us: float

    def us_per_event(self, events_a_batch: float) -> float:
        """Return what an event costs in batches of that size."""
        return self.batch_us / events_a_batch + self.event_us


@dataclass(frozen=True, slots=True)
class Need:
    """What so many homes need."""

    homes: int
    batches_per_s: float
    cores: Mapping[str, float]
    brokers: int
    outage_mb: float
    written_mb: float
    listeners_gb: float


def measured(text: str) -> dict[int, dict[str, float]]:
    """Read the CPU table of docs/reference/performance.md: rate → stage → µs an event, WebSocket to InfluxDB."""
    block = text.partition("<!-- cpu -->")[2].partition("<!-- end -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.strip().splitlines()]
    head = rows[0]
    found = {}
    for row in rows[2:]:
        way_in, store, rate, *_ = row
        if way_in == "websocket" and store.startswith("InfluxDB"):
            cells = dict(zip(head, row, strict=True))  # two columns are called `store`: the second is its CPU
            found[int(rate.replace(",", ""))] = {stage: float(cells[stage]) for stage in STAGES}
    return found


def fitted(figures: Mapping[int, Mapping[str, float]]) -> dict[str, Cost]:
    """Return the costs that give what was measured at the low and at the high rate."""
    spread = BATCHES_PER_S / _LOW - BATCHES_PER_S / _HIGH
    costs = {}
    for stage in STAGES:
        batch_us = (figures[_LOW][stage] - figures[_HIGH][stage]) / spread
        costs[stage] = Cost(batch_us, figures[_HIGH][stage] - batch_us * BATCHES_PER_S / _HIGH)
    return costs


def need(costs: Mapping[str, Cost], homes: int, window_s: float, events_per_s: float = EVENTS_PER_S) -> Need:
    """Return what so many homes need, each with a listener that closes a batch after `window_s`."""
    each = min(1 / window_s, events_per_s)  # an empty window makes no batch
    batches, events = homes * each, homes * events_per_s
    cores = {stage: (cost.batch_us * batches + cost.event_us * events) / 1e6 for stage, cost in costs.items()}
    keys = min(events * _WRITTEN_WINDOW_S, _WRITTEN_MAX)
    return Need(
        homes=homes,
        batches_per_s=batches,
        cores=cores,
        brokers=max(1, -int(-cores["broker"] // _BROKER_FULL)),
        outage_mb=(batches * _WAITING_BATCH_BYTES + events * _WAITING_EVENT_BYTES) * 60 / 1e6,
        written_mb=keys * _WRITTEN_KEY_BYTES / 1e6,
        listeners_gb=homes * _LISTENER_MB / 1000,
    )


def _cost_table(figures: Mapping[int, Mapping[str, float]], costs: Mapping[str, Cost]) -> Iterable[str]:
    yield "| stage | µs a batch | µs an event | foretold at 5,000/s | measured |"
    yield "| --- | --- | --- | --- | --- |"
    for stage, cost in costs.items():
        foretold, seen = cost.us_per_event(_BETWEEN / BATCHES_PER_S), figures[_BETWEEN][stage]
        yield f"| {stage} | {cost.batch_us:,.0f} | {cost.event_us:.1f} | {foretold:.1f} | {seen:.1f} |"
    foretold = sum(cost.us_per_event(_BETWEEN / BATCHES_PER_S) for cost in costs.values())
    seen = sum(figures[_BETWEEN][stage] for stage in costs)
    batch_us, event_us = (sum(getattr(cost, name) for cost in costs.values()) for name in ("batch_us", "event_us"))
    yield f"| all | {batch_us:,.0f} | {event_us:.1f} | {foretold:.1f} | {seen:.1f} |"


def _need_table(costs: Mapping[str, Cost]) -> Iterable[str]:
    yield (
        "| homes | window | batches/s | cores: listeners | workers | broker | store | brokers | a minute of store away,"
        " in the broker | written index | listeners |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for homes in HOMES:
        for window_s in (_WINDOW_S, 1.0):
            one = need(costs, homes, window_s)
            workers = sum(one.cores[stage] for stage in ("validate", "enrich", "write"))
            cores = [one.cores["listener"], workers, one.cores["broker"], one.cores["store"]]
            yield (
                f"| {homes:,} | {window_s * 1000:,.0f} ms | {one.batches_per_s:,.0f} | "
                + " | ".join(f"{value:,.2f}" for value in cores)
                + f" | {one.brokers} | {one.outage_mb:,.1f} MB | {one.written_mb:,.1f} MB"
                + f" | {one.listeners_gb:,.1f} GB |"
            )


def _picture(costs: Mapping[str, Cost]) -> Iterable[str]:
    sizes = (100, 200, 400, 600, 800, 1_000)
    lines = [
        [round(sum(need(costs, homes, window_s).cores.values()), 1) for homes in sizes] for window_s in (_WINDOW_S, 1.0)
    ]
    yield "```mermaid"
    yield "xychart-beta"
    yield '    title "Cores of all stages: a batch every 25 ms (upper), every second (lower)"'
    yield f'    x-axis "homes with 5 events a second" [{", ".join(str(size) for size in sizes)}]'
    yield f'    y-axis "cores" 0 --> {int(max(lines[0])) + 5}'
    for line in lines:
        yield f"    line [{', '.join(str(value) for value in line)}]"
    yield "```"


def page(text: str) -> str:
    """Return the page with its tables made anew."""
    figures = measured((_DOCS / "reference" / "performance.md").read_text())
    costs = fitted(figures)
    blocks = {"costs": _cost_table(figures, costs), "needs": _need_table(costs), "picture": _picture(costs)}
    for name, lines in blocks.items():
        begin, end = f"<!-- {name} -->\n", "<!-- end -->"
        before, _, rest = text.partition(begin)
        text = "".join([before, begin, "\n".join(lines), "\n", end, rest.partition(end)[2]])
    return text


def main() -> int:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/explanation/scale.md anew")
    options = parser.parse_args()
    made = page(PAGE.read_text())
    if options.write:
        PAGE.write_text(made)
    else:
        print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
