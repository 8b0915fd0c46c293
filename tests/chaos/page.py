"""Put the figures of saved runs into docs/reference/reliability.md: `python -m tests.chaos.page RESULT.json ...`.

Takes what `make chaos` and `make soak` saved, in the order in which it is to stand; runs nothing.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAGE = Path("docs/reference/reliability.md")

Result = dict[str, Any]


def main() -> int:
    """Replace what stands between the markers `<!-- name -->` and `<!-- end -->`."""
    results = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    PAGE.write_text(filled(PAGE.read_text(), results))
    return 0


def filled(text: str, results: Sequence[Result]) -> str:
    """Return the page with the figures of these results; a part without a result stays as it is."""
    fires = [result for result in results if "findings" in result]
    soaks = [result for result in results if "processes" in result]
    parts = {"runs": (runs, fires), "memory": (memory, fires), "harms": (harms, fires), "soak": (soak, soaks)}
    for name, (table, rows) in parts.items():
        if rows:
            place = re.compile(rf"<!-- {name} -->.*?<!-- end -->", re.DOTALL)
            text = place.sub(f"<!-- {name} -->\n{table(rows)}\n<!-- end -->".replace("\\", r"\\"), text)
    return text


def runs(results: Sequence[Result]) -> str:
    """Return what was sent and what became of it, a column a run."""
    return _columns(results, [result["title"] for result in results], _RUN_ROWS)


def _sum(name: str) -> Any:
    return lambda result: f"{sum(result['findings'][name].values()):,}"


def _count(name: str) -> Any:
    return lambda result: f"{result['findings'][name]:,}"


def _lost(result: Result) -> str:
    found = result["findings"]
    return f"{sum(found['lost'].values()) + found['bad_sent'] - found['bad_found'] - found['bad_known_loss']:,}"


def _known(result: Result) -> str:
    found = result["findings"]["known_loss"]
    return ", ".join(f"`{name}` {count:,}" for name, count in sorted(found.items())) or "none"


def _gaps(result: Result) -> str:
    ends = Counter(gap.split(": ", 1)[-1].strip() for gap in result["gaps"])
    return ", ".join(f"{end} {count}" for end, count in sorted(ends.items())) or "none"


_RUN_ROWS = (
    ("good events sent", _sum("sent")),
    ("… stored", _sum("stored")),
    ("… duplicates", _count("duplicates")),
    ("… wrong in some field", _count("wrong")),
    ("… in quarantine", _count("good_quarantined")),
    ("**lost**, good and bad", _lost),
    ("known loss: missed, and no history of it", _known),
    ("bad events sent", _count("bad_sent")),
    ("… in quarantine", _count("bad_found")),
    ("… missed while Home Assistant could not be heard", _count("bad_known_loss")),
    ("gaps", _gaps),
    ("batches sent again (by the last listeners)", lambda result: f"{result['resent']:,}"),
    ("most batches in the journals", lambda result: f"{result['peaks']['waiting_batches']:,}"),
    ("worst lag to the store", lambda result: f"{result['worst_lag_s']:.0f} s"),
    ("drained after the end of the load in", lambda result: f"{result['drain_s']:.0f} s"),
    ("not drained", lambda result: result["left"] or "nothing"),
)
_HIDDEN = ("gone", "other")


def memory(results: Sequence[Result]) -> str:
    """Return the most memory that one process of a kind took."""
    kinds = sorted({kind for result in results for kind in result["peaks"]["memory_mb"]} - set(_HIDDEN))
    rows: list[tuple[str, Any]] = [
        (kind, lambda result, kind=kind: _mb(result["peaks"]["memory_mb"].get(kind))) for kind in kinds
    ]
    rows.append(("broker (Redis: what it counts itself)", lambda result: _mb(result["peaks"]["broker_mb"])))
    return _columns(results, [result["title"] for result in results], rows)


def harms(results: Sequence[Result]) -> str:
    """Return how often each harm was done."""
    counts = [Counter(done["name"] for done in result["done"]) for result in results]
    rows = [(f"`{name}`", *(str(count[name] or "-") for count in counts)) for name in sorted(set().union(*counts))]
    return _table(("harm", *(result["title"] for result in results)), rows)


def soak(results: Sequence[Result]) -> str:
    """Return what each process had after the warm-up and at the end; the last result stands."""
    result = results[-1]
    rows = [
        (
            row["name"],
            "{:.1f} → {:.1f}".format(*row["memory_mb"]),
            f"{row['growth']:+.1%}",
            "{} → {}".format(*row["files"]),
            "{} → {}".format(*row["connections"]),
            row["fault"] or "-",
        )
        for row in result["processes"]
    ]
    head = f"{result['title']}; {result['sent']:,} sent, worst lag {result['worst_lag_s']:.1f} s.\n\n"
    return head + _table(("process", "MB", "growth", "files", "connections", "fault"), rows)


def _mb(size: float | None) -> str:
    return "-" if size is None else f"{size:.0f} MB"


def _columns(results: Sequence[Result], titles: list[str], rows: Sequence[tuple[str, Any]]) -> str:
    return _table(("", *titles), [(name, *(of(result) for result in results)) for name, of in rows])


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
