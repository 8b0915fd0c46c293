"""`make bench`: sustained rate, latency, CPU and memory of the real stack, with every event checked in the store.

Each case starts InfluxDB 1.6 (or the embedded store), Mosquitto where it is by MQTT, `ha-ingestor up`, and a load
source in a process of its own; the state of event number n is n, so a count and a sum tell that all are there once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.case import Case, run_case
from tests.bench.daily_report import STORES
from tests.bench.exports import measure_exports
from tests.bench.exports import sentence as export_sentence
from tests.bench.large_home import measure_large_home, sentence
from tests.bench.measure import machine
from tests.bench.rest import measure_rest, sentences, until_now
from tests.bench.start import measure_start
from tests.bench.steps import measure_steps

RESULTS = Path("bench-results")
#: Long enough that the first seconds, with every cache still empty, are not most of the slowest twentieth.
LATENCY_S = 60
#: How long the store is away where it is.
AWAY_S = 60
LOW_LATENCY = (("PROFILE", "low-latency"),)


def cases(seconds: int) -> list[Case]:
    """Return what is measured: rates first, then latencies at a given rate, then what the road can do at most."""
    return [
        Case("websocket", "influxdb", 10_000, seconds),
        Case("websocket", "sqlite", 10_000, seconds),
        Case("eventstream", "influxdb", 5_000, seconds),
        Case("statestream", "influxdb", 1_500, seconds),
        Case("websocket", "influxdb", 1_000, LATENCY_S),
        Case("websocket", "influxdb", 5_000, LATENCY_S),
        Case("websocket", "influxdb", 5_000, LATENCY_S, settings=LOW_LATENCY),
        Case("websocket", "influxdb", 10_000, seconds, settings=LOW_LATENCY),
        Case("websocket", "influxdb", 15_000, seconds),
        Case("websocket", "influxdb", 10_000, seconds, every_field=True),
        Case("websocket", "influxdb", 2_000, AWAY_S + 30, AWAY_S),
        Case("websocket", "influxdb", 2_000, LATENCY_S, subscribers=100),
        Case("websocket", "influxdb", 2_000, LATENCY_S, subscribers=100, settings=LOW_LATENCY),
    ]


def main() -> int:
    """Run the cases; exit 1 where an event is missing or stored twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="length of a rate run (60)")
    parser.add_argument(
        "--only", default="", help="run only cases whose name has this text, such as websocket-influxdb"
    )
    parser.add_argument("--subscribers", type=int, default=0, help="with --rate: so many listen by WebSocket")
    parser.add_argument("--together", action="store_true", help="with --rate: as with workers.together = 2")
    parser.add_argument("--set", nargs="*", default=[], help="with --rate: settings, such as BATCH__MS=10")
    parser.add_argument("--rate", type=int, default=0, help="run at this rate instead (events/s)")
    options = parser.parse_args()
    steps = measure_steps() if not options.rate else {}
    if steps:
        print("enrichment, CPU us/event of each step: " + "  ".join(f"{name} {us:.1f}" for name, us in steps.items()))
    large = {} if options.rate or options.only else measure_large_home()
    if large:
        print(sentence(large))
    start_s = None if options.rate or options.only else measure_start()
    if start_s is not None:
        print(f"from `up` to the first event with an area: {start_s:.1f} s")
    exports = [] if options.rate or options.only else measure_exports()
    for export in exports:
        print(export_sentence(export))
    answers = []
    for store in () if options.rate or options.only else STORES:
        answers += measure_rest(until_now(), (store,))
        print("\n".join(sentences(answers[-1])))
    results = []
    for case in cases(options.seconds):
        if options.only not in case.name:
            continue
        if options.rate:
            case = Case(  # noqa: PLW2901 -- as asked for
                case.road,
                case.store,
                options.rate,
                options.seconds,
                together=options.together,
                subscribers=options.subscribers,
                settings=tuple((name, value) for name, _, value in (one.partition("=") for one in options.set)),
            )
        result = run_case(case)
        results.append(result)
        print_result(result)
        if options.rate:
            break
    save(
        {
            "machine": machine(),
            "steps": steps,
            "large_home": large,
            "start_s": start_s,
            "exports": exports,
            "rest": answers,
            "results": results,
        }
    )
    return 0 if all(result["exactly_once"] for result in results) else 1


def print_result(result: dict[str, Any]) -> None:
    """Print one case as a person reads it."""
    lag = result["lag_ms"]
    print(f"\n{result['case']}: {'every event stored once' if result['exactly_once'] else 'EVENTS MISSING'}")
    print(
        f"  sustained {result['sustained_per_s']:,.0f} events/s of {result['offered_per_s']:,} offered,"
        f" {result['sent']:,} sent, {result['stored']:,} stored, drained {result['drain_s']:.1f} s after the end"
    )
    print(f"  receipt to acknowledged write: p50 {lag['p50']:.0f} ms, p95 {lag['p95']:.0f} ms, p99 {lag['p99']:.0f} ms")
    if live := result["live"]:
        print(
            f"  receipt to subscribers: p50 {live['p50']:.0f} ms, p95 {live['p95']:.0f} ms, p99 {live['p99']:.0f} ms;"
            f" {live['frames']:,} frames, {live['missed']:,} messages missed, {live['messages_min']:,} to"
            f" {live['messages_max']:,} a subscriber"
        )
    if result["drained_per_s"] is not None:
        print(f"  what had waited for the store was drained at {result['drained_per_s']:,.0f} events/s")
    costs = "  ".join(f"{stage} {cost:.1f}" for stage, cost in result["cpu_us_per_event"].items())
    print(f"  CPU us/event: {costs}  (sum {sum(result['cpu_us_per_event'].values()):.0f})")
    print(
        "  memory MB: "
        + "  ".join(f"{stage} {'+'.join(map(str, sizes))}" for stage, sizes in result["memory_mb"].items())
    )
    print(f"  a line: {result['line']}")
    before_ms, after_ms = result["work_ms"]
    print(
        f"  the machine: a fixed piece of work took {before_ms} ms before and {after_ms} ms after it; the host took"
        f" {result['stolen_percent']} % of its time"
    )
    print(f"  broker bytes per waiting event: {result['broker_bytes_per_waiting_event']:.0f}")


def save(report: dict[str, Any]) -> None:
    """Save the figures as JSON."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / time.strftime("bench-%Y%m%d-%H%M%S.json")
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nsaved {path}")


if __name__ == "__main__":
    sys.exit(main())
