"""Put the figures of saved runs into docs/reference/performance.md: `python -m tests.bench.report RESULT.json ...`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAGE = Path("docs/reference/performance.md")
STORES = {"influxdb": "InfluxDB 1.6", "sqlite": "embedded"}
STAGES = ("listener", "mosquitto", "broker", "validate", "enrich", "write", "worker", "store", "flower", "load")


def main() -> int:
    """Replace what stands between the markers `<!-- name -->` and `<!-- end -->`; a later file wins a case."""
    results = {}
    steps: dict[str, float] = {}
    large: dict[str, float] = {}
    start_s = None
    for name in sys.argv[1:]:
        found = json.loads(Path(name).read_text())
        steps = found.get("steps") or steps
        large = found.get("large_home") or large
        start_s = found.get("start_s") or start_s
        for result in found["results"]:
            results[result["case"]] = result
    every = list(results.values())
    rows = [row for row in every if not row.get("drained_per_s")]
    text = PAGE.read_text()
    for name, table in (
        ("rates", rates(rows)),
        ("latency", latency(rows)),
        ("cpu", cpu(rows)),
        ("memory", memory(rows)),
        ("outage", outage(every)),
        ("steps", _table(("step", "µs an event"), [(name, f"{us:.1f}") for name, us in steps.items()])),
        ("large home", large_home(large) if large else ""),
        ("start", "" if start_s is None else f"{start_s:.1f} s"),
    ):
        if not table:
            continue
        place = re.compile(rf"<!-- {name} -->.*?<!-- end -->", re.DOTALL)
        text = place.sub(f"<!-- {name} -->\n{table}\n<!-- end -->", text)
    PAGE.write_text(text)
    return 0


def rates(rows: list[dict[str, Any]]) -> str:
    """Return a table of what was offered and what was stored."""
    head = ("way in", "store", "offered /s", "sustained /s", "events", "stored once", "drained after")
    return _table(
        head,
        [
            (
                *_case(row),
                f"{row['offered_per_s']:,}",
                f"{row['sustained_per_s']:,.0f}",
                f"{row['sent']:,}",
                "all" if row["exactly_once"] else "**no**",
                f"{row['drain_s']:.1f} s",
            )
            for row in rows
        ],
    )


def latency(rows: list[dict[str, Any]]) -> str:
    """Return a table of latencies."""
    return _table(
        ("way in", "store", "events/s", "p50 ms", "p95 ms", "p99 ms"),
        [
            (
                *_case(row),
                f"{row['offered_per_s']:,}",
                *(f"{row['lag_ms'][name]:.0f}" for name in ("p50", "p95", "p99")),
            )
            for row in rows
        ],
    )


def outage(rows: list[dict[str, Any]]) -> str:
    """Return a table of how fast is drained what has waited for a store that was away."""
    most = max((row["sustained_per_s"] for row in rows if row["case"].startswith("websocket-influxdb")), default=0.0)
    return _table(
        ("way in", "store", "events/s", "away", "drained /s", "of the highest rate above"),
        [
            (
                *_case(row),
                f"{row['offered_per_s']:,}",
                f"{row['case'].rpartition('-')[2]} s",
                f"{row['drained_per_s']:,.0f}",
                f"{row['drained_per_s'] / most:.0%}",
            )
            for row in rows
            if row.get("drained_per_s")
        ],
    )


def cpu(rows: list[dict[str, Any]]) -> str:
    """Return a table of CPU by stage."""
    return _table(
        ("way in", "store", "events/s", *STAGES, "all"),
        [
            (
                *_case(row),
                f"{row['offered_per_s']:,}",
                *(f"{row['cpu_us_per_event'].get(stage, 0):.1f}" for stage in STAGES),
                f"{sum(row['cpu_us_per_event'].values()):.0f}",
            )
            for row in rows
        ],
    )


def memory(rows: list[dict[str, Any]]) -> str:
    """Return a table of resident memory by process."""
    stages = [stage for stage in STAGES if stage not in ("store", "load")] + ["rare", "beat", "api", "supervisor"]
    return _table(
        ("MB at the end", "store", "events/s", *stages),
        [
            (
                *_case(row),
                f"{row['offered_per_s']:,}",
                *(" + ".join(f"{size:.0f}" for size in row["memory_mb"].get(stage, [])) or "-" for stage in stages),
            )
            for row in rows
        ],
    )


def large_home(found: dict[str, float]) -> str:
    """Return a table of what the sync of a large home takes."""
    units = {"s": "s", "us": "µs"}
    names = (name.rpartition("_") for name in found)
    rows = [(what.replace("_", " "), f"{found[f'{what}_{unit}']:.2f} {units[unit]}") for what, _, unit in names]
    return _table(("of 20,000 entities", "takes"), rows)


def _case(row: dict[str, Any]) -> tuple[str, str]:
    road, store = row["case"].split("-")[:2]
    marks = {
        "-every-field": ", every field",
        "-together": ", steps together",
        "-100-subscribers": ", 100 subscribers",
        "-profile=low-latency": ", `low-latency`",
    }
    return road + "".join(said for mark, said in marks.items() if mark in row["case"]), STORES[store]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
