"""Settings of OpenTelemetry traces; reads nothing by itself."""

from __future__ import annotations

from pydantic import Field

from ingestor.settings_types import Group, HttpUrl


class TracingSettings(Group):
    """Traces of batches on their way, for OpenTelemetry."""

    url: HttpUrl | None = Field(
        None,
        description="Where a collector takes spans (OTLP over HTTP), such as http://host:4318/v1/traces; default: none"
        " are made.",
    )
    share: float = Field(1.0, gt=0, le=1, description="Share of batches that are traced.")
