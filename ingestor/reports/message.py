"""What goes out: a report or an alert as a message that every road can carry; sends nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from ingestor.reports import words
from ingestor.reports.document import Report
from ingestor.reports.figures import figures_of
from ingestor.reports.render import as_json, rendered
from ingestor.reports.shelf import Alert, Kind, alert_parcel
from ingestor.settings_reports import Attachment


@dataclass(frozen=True, slots=True)
class Message:
    """A message with an id of its own: whoever gets it twice can tell. `summary` is small, `body` is everything."""

    parcel: str
    kind: Kind
    home: str
    subject: str
    text: str
    summary: dict[str, Any]
    report: Report | None = None

    def body(self) -> bytes:
        """Return all of it as one JSON object."""
        whole = {**self.summary}
        if self.report is not None:
            whole["report"] = msgspec.Raw(as_json(self.report))
        return msgspec.json.encode(whole)

    def form(self, form: Attachment) -> bytes | None:
        """Return the report in a form; None for an alert."""
        return None if self.report is None else rendered(self.report, form)


def of_report(report: Report) -> Message:
    """Return the message on a report."""
    title = words.title_of(report)
    figures = figures_of(report)
    lines = [*report.summary, *(f"To do: {one.text}" for one in report.advice)]
    summary = {
        "type": "quality_report",
        "id": report.id,
        "home": report.home,
        "period": report.period,
        "start_us": report.start_us,
        "end_us": report.end_us,
        "figures": figures,
        "summary": list(report.summary),
    }
    subject = f"{title}: {words.number(report.score)} of 100" if report.score is not None else title
    return Message(report.id, "report", report.home, subject, "\n".join(lines) + "\n", summary, report)


def of_alert(alert: Alert) -> Message:
    """Return the message on an alert that begins or is over."""
    over = alert.over_us is not None
    summary = {
        "type": "quality_alert",
        "id": alert_parcel(alert),
        "home": alert.home,
        "name": alert.name,
        "state": "over" if over else "raised",
        "since_us": alert.since_us,
        "over_us": alert.over_us,
        "subject": alert.subject,
        "value": alert.value,
        "sentence": alert.sentence,
    }
    subject = f"{'Over' if over else 'Alert'}: {alert.name} ({alert.home})"
    return Message(alert_parcel(alert), "alert", alert.home, subject, alert.sentence + "\n", summary)
