"""Alert rules and dashboards ask only for what exists, and every alert leads to a page that tells what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestor.metrics_declared import DECLARED
from ingestor.metrics_gauges import GAUGES

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "compose" / "prometheus" / "rules.yml"
_SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
LABELS = {
    one.name + suffix: {*one.labels, *(("le",) if suffix == "_bucket" else ())}
    for one in (*DECLARED, *GAUGES)
    for suffix in _SUFFIXES[one.kind]
}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def test_every_alert_asks_for_declared_metrics_and_labels_alone() -> None:
    for rule in rules():
        asked = re.findall(r"\b(ingestor_\w+)(?:{([^}]*)})?", rule["expr"])

        assert asked or rule["expr"].startswith("up{"), rule["alert"]
        for name, selectors in asked:
            assert name in LABELS, f"{rule['alert']}: {name} is not declared"
            assert set(re.findall(r"(\w+)\s*[=!]", selectors)) <= LABELS[name], rule["alert"]


def test_every_alert_has_a_severity_a_sentence_and_a_page_of_ours() -> None:
    for rule in rules():
        page = ROOT / rule["annotations"]["runbook_url"]

        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"]
        assert page.parent == ROOT / "docs" / "runbook"
        assert f"`{rule['alert']}`" in page.read_text("utf-8"), f"{page.name} does not name {rule['alert']}"


def test_every_page_of_the_runbook_is_in_its_list() -> None:
    folder = ROOT / "docs" / "runbook"
    listed = re.findall(r"\]\(([a-z-]+\.md)\)", (folder / "README.md").read_text("utf-8"))

    assert sorted(set(listed)) == sorted(path.name for path in folder.glob("*.md") if path.name != "README.md")


def test_every_threshold_stands_with_its_reason() -> None:
    lines = RULES.read_text("utf-8").splitlines()

    for number, line in enumerate(lines):
        if "- alert:" in line:
            assert lines[number - 1].strip().startswith("#"), line


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_every_alert_has_a_test_of_its_own(rule: dict[str, Any]) -> None:
    tried = yaml.safe_load((RULES.parent / "rules_test.yml").read_text("utf-8"))
    fired = {case["alertname"] for test in tried["tests"] for case in test["alert_rule_test"] if case.get("exp_alerts")}
    silent = {
        case["alertname"] for test in tried["tests"] for case in test["alert_rule_test"] if not case.get("exp_alerts")
    }

    assert rule["alert"] in fired
    assert rule["alert"] in silent
