"""Dashboards can be loaded by Grafana and ask only for what exists; nobody here has a Grafana to look at them with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestor.metrics_declared import DECLARED
from ingestor.metrics_gauges import GAUGES
from tests.dashboards import all_panels, panels

FOLDER = Path(__file__).resolve().parents[2] / "compose" / "grafana"
FILES = sorted((FOLDER / "dashboards").glob("*.json"))
_SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
NAMES = {one.name + suffix: one for one in (*DECLARED, *GAUGES) for suffix in _SUFFIXES[one.kind]}


def loaded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def sources() -> dict[str, str]:
    text = (FOLDER / "provisioning" / "datasources" / "ha-ingestor.yml").read_text("utf-8")
    return {one["uid"]: one["type"] for one in yaml.safe_load(text)["datasources"]}


def test_there_is_one_for_the_pipeline_for_quality_and_for_the_home() -> None:
    assert [path.stem for path in FILES] == ["home", "pipeline", "quality"]
    assert len({loaded(path)["uid"] for path in FILES}) == 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_every_panel_has_a_place_a_sentence_and_a_provisioned_source(path: Path) -> None:
    found = list(all_panels(loaded(path)))
    places = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in found]

    assert len({one["id"] for one in found}) == len(found) == len(set(places))
    for one in found:
        assert one["title"]
        assert one["description"].endswith(".")
        assert one["gridPos"]["x"] + one["gridPos"]["w"] <= 24
        for target in one["targets"]:
            assert sources()[target["datasource"]["uid"]] == target["datasource"]["type"] == one["datasource"]["type"]
            assert target["refId"]


def test_every_panel_of_prometheus_asks_for_declared_metrics_and_labels_alone() -> None:
    expressions = panels(FOLDER / "dashboards", "prometheus")

    for expression in expressions:
        asked = re.findall(r"\b(ingestor_\w+)(?:{([^}]*)})?", expression)
        assert asked, expression
        for name, selectors in asked:
            assert name in NAMES, f"{name} is not declared"
            assert set(re.findall(r"(\w+)\s*[=!]", selectors)) <= set(NAMES[name].labels), expression


def test_every_panel_is_of_counters_as_rates_and_of_gauges_as_they_are() -> None:
    for expression in panels(FOLDER / "dashboards", "prometheus"):
        for name in re.findall(r"\b(ingestor_\w+)", expression):
            rated = bool(re.search(rf"(rate|increase)\({name}\b", expression))
            assert rated == (NAMES[name].kind != "gauge"), expression
