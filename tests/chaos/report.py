"""The report of a run: a table for people (rich), and the same as plain values for a file."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.compare import Findings
from tests.chaos.watch import Peaks


@dataclass(frozen=True, slots=True)
class Done:
    """A harm that was done."""

    at_s: float
    name: str
    told: str


@dataclass(slots=True)
class Run:
    """All that is known of a run."""

    title: str
    findings: Findings
    peaks: Peaks
    done: list[Done] = field(default_factory=list)
    #: Each gap's reason and how it ended.
    gaps: list[str] = field(default_factory=list)
    worst_lag_s: float = 0.0
    drain_s: float = 0.0
    left: str = ""
    resent: int = 0

    @property
    def good(self) -> bool:
        """Whether nothing was lost and nothing is there twice."""
        return self.findings.good and not self.left

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        found = {field.name: getattr(self.findings, field.name) for field in dataclasses.fields(self.findings)}
        done = [dataclasses.asdict(one) for one in self.done]
        mine = {"title": self.title, "good": self.good, "left": self.left, "resent": self.resent}
        lags = {"worst_lag_s": self.worst_lag_s, "drain_s": self.drain_s}
        return {
            **mine,
            **lags,
            "findings": found,
            "peaks": dataclasses.asdict(self.peaks),
            "gaps": self.gaps,
            "done": done,
        }


def show(run: Run, console: Console) -> None:
    """Print a run."""
    console.print(_events(run))
    console.print(_verdict(run))
    console.print(_memory(run), highlight=False)
    counts = Counter(done.name for done in run.done)
    console.print("harms: " + ", ".join(f"{name} {count}" for name, count in counts.items()), highlight=False)
    for example in run.findings.examples:
        console.print(example[:600], markup=False, highlight=False, soft_wrap=True)
    if run.left:
        console.print(f"[red]not drained: {run.left}[/red]")
    console.print("[green]nothing lost, nothing twice[/green]" if run.good else "[red]FAILED[/red]")


def _events(run: Run) -> Table:
    table = Table(title=run.title)
    for name in ("sent by", "sent", "stored", "lost"):
        table.add_column(name, justify="left" if name == "sent by" else "right")
    found = run.findings
    for road, sent in sorted(found.sent.items()):
        table.add_row(road, f"{sent:,}", f"{found.stored[road]:,}", f"{found.lost[road]:,}")
    totals = (sum(found.sent.values()), sum(found.stored.values()), sum(found.lost.values()))
    table.add_row("all", *(f"{number:,}" for number in totals), style="bold")
    return table


def _verdict(run: Run) -> Table:
    found = run.findings
    table = Table(show_header=False)
    known = ", ".join(f"{name} {count:,}" for name, count in sorted(found.known_loss.items()))
    for name, value in (
        ("duplicates", found.duplicates),
        ("lost", found.total_lost),
        ("wrong in some field", found.wrong),
        ("invented", found.invented),
        ("bad events sent", found.bad_sent),
        ("… in quarantine", found.bad_found),
        ("… there twice", found.quarantined_twice),
        ("… lost", found.bad_lost),
        ("good events in quarantine", found.good_quarantined),
        ("known loss (no history of them)", known or "none"),
        ("gaps", ", ".join(f"{gap.strip()} ({count})" for gap, count in sorted(Counter(run.gaps).items())) or "none"),
        ("stored, by source", ", ".join(f"{name} {count:,}" for name, count in sorted(found.sources.items()))),
        ("… by the poorer of both roads", sum(found.poorer.values())),
        ("batches sent again", run.resent),
        ("most batches in the journals", run.peaks.waiting_batches),
        ("worst lag to the store", f"{run.worst_lag_s:.1f} s"),
        ("drained after the end in", f"{run.drain_s:.0f} s"),
    ):
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    return table


def _memory(run: Run) -> str:
    sizes = [*sorted(run.peaks.memory_mb.items()), ("broker's own count", run.peaks.broker_mb)]
    return "peak memory (MB) of one process: " + ", ".join(f"{kind} {size:.0f}" for kind, size in sizes)
