"""The filler of docs/reference/reliability.md: figures go where their markers are, the rest of the page stays."""

from __future__ import annotations

from typing import Any

from tests.chaos.compare import Findings
from tests.chaos.page import filled
from tests.chaos.report import Done, Run
from tests.chaos.watch import Peaks

TEXT = "before <!-- runs -->old<!-- end --> between <!-- soak -->kept<!-- end --> after"


def result(findings: Findings) -> dict[str, Any]:
    peaks = Peaks(memory_mb={"write": 99.6})
    return Run("a run", findings, peaks, [Done(1.0, "kill-write", "killed")], ["cut: filled "]).as_dict()


def test_figures_replace_what_stood_between_their_markers_and_nothing_else() -> None:
    findings = Findings(bad_sent=10, bad_found=7, bad_known_loss=1)
    findings.sent["websocket"], findings.lost["websocket"] = 1234, 3

    text = filled(TEXT, [result(findings)])

    assert text.startswith("before <!-- runs -->\n|")
    assert text.endswith("<!-- end --> between <!-- soak -->kept<!-- end --> after")
    assert "| good events sent | 1,234 |" in text
    assert "| **lost**, good and bad | 5 |" in text
    assert "| gaps | filled 1 |" in text
    assert "old" not in text


def test_a_page_without_markers_or_results_stays_as_it_is() -> None:
    assert filled("nothing here", [result(Findings())]) == "nothing here"
    assert filled(TEXT, []) == TEXT
