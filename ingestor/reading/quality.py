"""Rules, scores, problems and reports on quality as plain values; judges nothing."""
# ruff: noqa: PLC0415 -- loaded when it is asked: the command line imports this, and a listener has 80 MB

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingestor.quality.model import Score
    from ingestor.reports.shelf import KeptReport
    from ingestor.settings import Settings


def rule_objects(settings: Settings) -> list[dict[str, Any]]:
    """Return the rules in the order in which they are asked, with how often each has spoken."""
    from ingestor.quality.gate import with_severities
    from ingestor.quality.rules import RULES
    from ingestor.quality.user_rules import compiled

    fired = _fired(settings)
    chosen = {rule.name: rule for rule in with_severities(settings.quality)}
    listed: list[tuple[Any, str]] = []
    for rule in RULES:
        now = rule if rule.stage != "event" else chosen.get(rule.name)
        listed.append((rule, now.severity if now else "off"))
        if rule.name == "energy_unit":
            # Where they are asked: after ours, before the store.
            own = [compiled(one).rule for one in settings.quality.rules]
            listed += [(one, one.severity) for one in own]
    return [
        {
            "number": number,
            "rule": rule.name,
            "severity": severity,
            "where": rule.stage,
            "fired": fired.get(rule.name, 0),
            "why": rule.reason,
        }
        for number, (rule, severity) in enumerate(listed, 1)
    ]


def _fired(settings: Settings) -> dict[str, int]:
    """Return how often each rule spoke since the metrics began."""
    from ingestor.metrics_files import FolderCollector

    found: dict[str, int] = {}
    for metric in FolderCollector(settings.data_dir / "metrics").collect():
        for sample in metric.samples:
            if sample.name == "ingestor_quality_findings_total":
                name = sample.labels["rule"]
                found[name] = found.get(name, 0) + int(sample.value)
            elif sample.name == "ingestor_events_duplicate_total":
                found["duplicate"] = found.get("duplicate", 0) + int(sample.value)
    return found


def score_object(score: Score) -> dict[str, Any]:
    """Return a score with its parts."""
    parts = [{**asdict(part), "measures": dict(part.measures)} for part in score.parts]
    return {"scope": score.scope, "subject": score.subject, "name": score.name, "score": score.score, "parts": parts}


def report_object(one: KeptReport) -> dict[str, Any]:
    """Return the head of a report."""
    return {name: getattr(one, name) for name in ("id", "home", "period", "start_us", "end_us", "made_us", "figures")}


def delivery_objects(found: Any) -> list[dict[str, Any]]:
    """Return how far deliveries are."""
    return [{"road": one.road, "state": one.state.value, "tries": one.tries, "error": one.error} for one in found]
