"""An example of each endpoint: in the description and the reference, and asked by a test."""

from __future__ import annotations

from typing import Final

#: By method and path as the description has it: what is asked; behind a blank the body.
EXAMPLES: Final[dict[tuple[str, str], str]] = {
    ("get", "/livez"): "/livez",
    ("get", "/readyz"): "/readyz",
    ("get", "/metrics"): "/metrics",
    ("get", "/api/health"): "/api/health",
    ("get", "/api/version"): "/api/version",
    ("get", "/api/v1/events"): "/api/v1/events?entity=sensor.*&area=Kitchen&since=2026-11-21T03:00:00Z&limit=2",
    ("get", "/api/v1/events/history"): "/api/v1/events/history?entity=sensor.kitchen&window=15m&aggregate=mean"
    "&aggregate=time_weighted_mean&since=2026-11-21T03:00:00Z&until=2026-11-21T04:00:00Z",
    ("get", "/api/v1/export/{format}"): "/api/v1/export/csv?entity=sensor.*&limit=3",
    ("get", "/api/v1/events/{event_id}"): "/api/v1/events/home~sensor.kitchen~1795229244000000042",
}
