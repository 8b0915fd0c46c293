"""`make scale-demo`: throughput with one and with two worker hosts; one of them is cut off and killed; nothing is lost.

Each worker host may use a share of one processor only (cgroup): on a small machine two hosts would else share what one
had, and a second one could show nothing. At the end the one that is left may use all, so that the wait is short.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.measure import machine
from tests.chaos.hosts import CannotMakeHostsError
from tests.scale.share import CannotBoundError
from tests.scale.three_hosts import HUB, STEPS, ThreeHosts

ONE, TWO = "one", "two"
RESULTS = Path("bench-results")
#: A host that is full for the first time fills caches and queues.
_SETTLE_S = 5.0
#: What the start of the second host takes, in which the home sends, too.
_BETWEEN_S = 25.0


@dataclass(frozen=True, slots=True)
class Phase:
    """What was seen with so many worker hosts."""

    name: str
    stored_per_s: float
    processors: float
    waiting: int


class Demo:
    """The phases of a run."""

    def __init__(self, hosts: ThreeHosts, options: argparse.Namespace) -> None:
        self._hosts, self._options = hosts, options
        self._began = time.monotonic()
        self.phases: list[Phase] = []

    def run(self) -> dict[str, Any]:
        """Go through the phases; return the figures."""
        hosts, options = self._hosts, self._options
        hosts.start_servers()
        self._say(f"host {HUB}: broker, store")
        self._start_workers(ONE)
        sending_s = int(3 * (_SETTLE_S + options.seconds) + _BETWEEN_S)
        hosts.start_load(options.rate, sending_s)
        self._say(f"host {HUB}: home and listener; {options.rate:,} events/s for {sending_s} s")
        self._phase("one worker host", [ONE])
        self._start_workers(TWO)
        self._phase("two worker hosts", [ONE, TWO])
        hosts.cut(TWO)
        self._say(f"host {TWO}: cut off, with what it had in hand")
        self._phase("the second one cut off", [ONE])
        hosts.kill(TWO)
        self._say(f"host {TWO}: killed; host {ONE}: bound taken away")
        hosts.unbound(ONE)
        return self._end()

    def _end(self) -> dict[str, Any]:
        sent = self._hosts.wait("the end of the load", self._hosts.sent)
        began = time.monotonic()
        self._say(f"{sent:,} events sent, {self._hosts.stored():,} stored")
        self._hosts.wait("all in the store", lambda: self._hosts.stored() >= sent)
        after_s = time.monotonic() - began
        self._say(f"all stored {after_s:.0f} s after the last was sent")
        stored = self._hosts.stored()
        return {"sent": sent, "stored": stored, "each_once": self._hosts.each_once(sent), "all_after_s": after_s}

    def _start_workers(self, name: str) -> None:
        self._hosts.start_workers(name, self._options.share)
        self._say(f"host {name}: {', '.join(STEPS)}; {self._options.share:.0%} of a processor")

    def _phase(self, name: str, working: list[str]) -> None:
        time.sleep(_SETTLE_S)
        began, before, used_s = time.monotonic(), self._hosts.stored(), self._used_s(working)
        for _ in range(3):
            time.sleep(self._options.seconds / 3)
            took_s = time.monotonic() - began
            rate = (self._hosts.stored() - before) / took_s
            self._say(f"{name}: {rate:,.0f} events/s stored, {self._hosts.waiting():,} batches wait in the journal")
        processors = (self._used_s(working) - used_s) / took_s
        self.phases.append(Phase(name, rate, processors, self._hosts.waiting()))

    def _used_s(self, working: list[str]) -> float:
        return sum(self._hosts.used_s(name) for name in working)

    def _say(self, sentence: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {sentence}", flush=True)


def main() -> int:
    """Run the demonstration; exit 1 where an event is missing or stored twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=1500, help="events a second (1500)")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each of three measured phases (15)")
    parser.add_argument("--share", type=float, default=0.15, help="of a processor for each worker host (0.15)")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="scale-") as folder, ThreeHosts(Path(folder), (ONE, TWO)) as hosts:
            demo = Demo(hosts, options)
            found = demo.run()
    except (CannotMakeHostsError, CannotBoundError) as error:
        print(f"not shown: {error}", file=sys.stderr)
        return 1
    phases = {one.name: {"stored_per_s": one.stored_per_s, "processors": one.processors} for one in demo.phases}
    found |= {"phases": phases, "share": options.share, "offered_per_s": options.rate, "machine": machine()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "scale-demo.json").write_text(json.dumps(found, indent=1))
    _show(found, demo.phases)
    return int(not found["each_once"])


def _show(found: dict[str, Any], phases: list[Phase]) -> None:
    print(f"\n{'':26}{'events/s stored':>18}{'processors used':>18}{'batches waiting':>18}")
    for one in phases:
        print(f"{one.name:26}{one.stored_per_s:18,.0f}{one.processors:18.2f}{one.waiting:18,}")
    once = "each once" if found["each_once"] else "NOT each once"
    print(f"\n{found['sent']:,} events sent, {found['stored']:,} stored, {once}")


if __name__ == "__main__":
    sys.exit(main())
