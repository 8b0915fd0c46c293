"""Settings of reports and alerts: when they are made, at what they aim, by which roads they go. Part of `settings`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from ingestor import settings_types as types
from ingestor.settings_types import Expects, Group, Name, Port

#: What an alert can be on; of the first group less is worse, of the second more is.
SHARES = ("score", "context", "valid", "up")
COUNTS = ("lost", "unbalanced", "problems")
_ADDRESS = re.compile(r"[^@\s<>,;\"\x00-\x1f]+@[^@\s<>,;\"\x00-\x1f]+")
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$"), Expects("a time of day such as 06:00")]
Address = Annotated[
    str, Field(pattern=rf"^{_ADDRESS.pattern}$", max_length=254), Expects("an address such as anna@example.org")
]
Attachment = Literal["html", "json", "md", "pdf"]


class WebhookSettings(Group):
    """A web address that reports and alerts are sent to, as JSON."""

    url: types.HttpUrl | None = Field(None, description="Address that gets them by POST; empty: none does.")
    secret: SecretStr | None = Field(
        None, description="Key to sign with: the header `X-HA-Ingestor-Signature` has the HMAC-SHA256 of time and body."
    )
    timeout_s: float = Field(8.0, gt=0, le=12, description="Seconds to wait for the answer; a task may take 25.")


class ReportTopicSettings(Group):
    """An MQTT topic that the head figures of reports, and alerts, are published to."""

    url: types.MqttUrl | None = Field(None, description="Broker, such as mqtt://user:password@host:1883; empty: none.")
    topic: str = Field(
        "ha-ingestor/{home}/quality",
        min_length=1,
        max_length=500,
        pattern=r"^[^+#\x00]+$",
        description="Topic of the head figures; alerts go to `/alert` below it.",
    )
    retain: bool = Field(True, description="Have the broker keep the newest.")


class MailSettings(Group):
    """A mail server by which reports and alerts are sent."""

    host: str | None = Field(None, max_length=253, description="SMTP server; empty: no mail is sent.")
    port: Port = Field(587, description="Its port: 587 with starttls, 465 with tls, 25 with none.")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the line is made safe; with none a password would be read on the way."
    )
    ca_file: Path | None = Field(None, description="CA certificate to trust, where it is not a public one.")
    user: str | None = Field(None, description="User to sign in with; empty: nobody signs in.")
    password: SecretStr | None = Field(None, description="Its password.")
    sender: Address | None = Field(None, description="Address that they are from.")
    to: tuple[Address, ...] = Field((), max_length=50, description="Addresses that they go to.")
    attach: tuple[Attachment, ...] = Field(("html",), description="Forms of the report to attach.")
    timeout_s: float = Field(8.0, gt=0, le=12, description="Seconds to wait for each of the server's answers.")

    @model_validator(mode="after")
    def _check_whole(self) -> MailSettings:
        if self.host and not (self.sender and self.to):
            raise ValueError("mail needs sender and to")
        if self.security == "none" and self.password is not None:
            raise ValueError("a password needs security starttls or tls")
        return self


class AlertSetting(Group):
    """A threshold: who crosses it raises one alert, and when it is well over that, one that it is."""

    name: Name = Field(description="What it is called.")
    on: Literal["score", "context", "valid", "up", "lost", "unbalanced", "problems"] = Field(
        description="What is watched, over the last `reports.alert_hours`: score (of the home, 0 to 100), valid, up"
        " (shares, 0 to 1), lost (events), unbalanced (rows of the ledger), problems; context (a share) is that of the"
        " newest report."
    )
    limit: float = Field(description="Below this (score and shares) or above it (the rest): alert.")
    clear: float | None = Field(
        None,
        description="It is over only when this is reached again, on the good side of `limit`; default: `limit` itself.",
    )

    @model_validator(mode="after")
    def _check_order(self) -> AlertSetting:
        clear = self.limit if self.clear is None else self.clear
        most = 100.0 if self.on == "score" else 1.0
        if self.on in SHARES and not (0 <= self.limit <= most and 0 <= clear <= most):
            raise ValueError(f"limit and clear of {self.on} are from 0 to {most:g}")
        if (clear < self.limit) if self.on in SHARES else (clear > self.limit):
            side = "below" if self.on in SHARES else "above"
            raise ValueError(f"clear ({clear:g}) is {side} limit ({self.limit:g}): it would be over before it began")
        return self


class ReportsSettings(Group):
    """Reports on the quality of what a home told, and alerts."""

    daily: bool = Field(True, description="Make a report on each day.")
    weekly: Literal["never", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = Field(
        "monday", description="Day on which a report on the seven days before is made."
    )
    at: Clock = Field("06:00", description="Time of day at which they are made, on the days from midnight to midnight.")
    time_zone: str = Field("", max_length=64, description="Time zone of that; default: the one set in Home Assistant.")
    keep: int = Field(60, ge=1, le=10_000, description="Reports that are kept of each home and kind.")
    context_target: float = Field(0.95, gt=0, le=1, description="Share of events that should have their full context.")
    valid_target: float = Field(0.99, gt=0, le=1, description="Share of events that should be valid.")
    up_target: float = Field(0.999, gt=0, le=1, description="Share of the time in which we should listen.")
    webhook: WebhookSettings = WebhookSettings()
    mqtt: ReportTopicSettings = ReportTopicSettings()
    mail: MailSettings = MailSettings()
    give_up_h: float = Field(
        24.0, gt=0, le=168, description="Hours for which a delivery that fails is tried again; then it is undelivered."
    )
    alerts: tuple[AlertSetting, ...] = Field((), max_length=50, description="Thresholds that raise alerts.")
    alert_hours: int = Field(24, ge=1, le=168, description="Hours that an alert looks at.")

    @model_validator(mode="after")
    def _check_names(self) -> ReportsSettings:
        names = [alert.name for alert in self.alerts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two alerts are called {twice[0]}")
        return self

    def roads(self) -> tuple[str, ...]:
        """Return by which roads reports and alerts go."""
        chosen = {"webhook": self.webhook.url, "mqtt": self.mqtt.url, "mail": self.mail.host}
        return tuple(road for road, where in chosen.items() if where)
