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
    ("get", "/api/v1/events/stream"): "/api/v1/events/stream?entity=sensor.*&area=Kitchen&end_after_s=1",
    ("get", "/api/v1/events/{event_id}"): "/api/v1/events/home~sensor.kitchen~1795229244000000042",
    ("get", "/api/v1/devices"): "/api/v1/devices?limit=2",
    ("get", "/api/v1/devices/{object_id}"): "/api/v1/devices/b7bb3d9cea41e0280f8531fddf80a534",
    (
        "get",
        "/api/v1/devices/{object_id}/relationships",
    ): "/api/v1/devices/b7bb3d9cea41e0280f8531fddf80a534/relationships",
    ("get", "/api/v1/devices/{object_id}/events"): "/api/v1/devices/b7bb3d9cea41e0280f8531fddf80a534/events?limit=2",
    ("get", "/api/v1/entities"): "/api/v1/entities?limit=2",
    ("get", "/api/v1/entities/{object_id}"): "/api/v1/entities/light.bed_light",
    ("get", "/api/v1/entities/{object_id}/relationships"): "/api/v1/entities/light.bed_light/relationships",
    ("get", "/api/v1/entities/{object_id}/events"): "/api/v1/entities/light.bed_light/events?limit=2",
    ("get", "/api/v1/areas"): "/api/v1/areas?limit=2",
    ("get", "/api/v1/areas/{object_id}"): "/api/v1/areas/bedroom",
    ("get", "/api/v1/areas/{object_id}/relationships"): "/api/v1/areas/bedroom/relationships",
    ("get", "/api/v1/areas/{object_id}/events"): "/api/v1/areas/bedroom/events?limit=2",
    ("get", "/api/v1/automations"): "/api/v1/automations?limit=2",
    ("get", "/api/v1/automations/{object_id}"): "/api/v1/automations/automation.chain_a",
    ("get", "/api/v1/automations/{object_id}/relationships"): "/api/v1/automations/automation.chain_a/relationships",
    (
        "get",
        "/api/v1/automations/{automation_id}/executions",
    ): "/api/v1/automations/automation.always_fails_no_such_service/executions?limit=2",
    ("get", "/api/v1/automations/dependencies"): "/api/v1/automations/dependencies",
    ("get", "/api/v1/relationships/impact"): "/api/v1/relationships/impact?thing=integration:mqtt",
    ("get", "/api/v1/relationships/uses"): "/api/v1/relationships/uses?thing=light.bed_light",
    ("get", "/api/v1/relationships/cycles"): "/api/v1/relationships/cycles",
    ("get", "/api/v1/relationships/path"): "/api/v1/relationships/path?from=light.bed_light&to=automation.chain_a",
    (
        "get",
        "/api/v1/quality/metrics",
    ): "/api/v1/quality/metrics?scope=area&since=2026-11-20T00:00:00Z&until=2026-11-23T00:00:00Z",
    ("get", "/api/v1/quality/errors"): "/api/v1/quality/errors?since=2026-11-20T00:00:00Z&until=2026-11-23T00:00:00Z",
    ("get", "/api/v1/quality/validation"): "/api/v1/quality/validation",
    ("get", "/api/v1/quality/reports"): "/api/v1/quality/reports?limit=5",
    ("get", "/api/v1/quality/reports/{report_id}"): "/api/v1/quality/reports/home-weekly-20261121T0000",
    ("get", "/api/v1/ledger"): "/api/v1/ledger?since=2026-11-20T00:00:00Z&until=2026-11-23T00:00:00Z",
    ("get", "/api/v1/gaps"): "/api/v1/gaps?limit=5",
    ("get", "/api/v1/gaps/{gap_id}"): "/api/v1/gaps/home:websocket:1",
    ("get", "/api/v1/quarantine"): "/api/v1/quarantine",
    ("get", "/api/v1/quarantine/pieces"): "/api/v1/quarantine/pieces?limit=2",
    ("get", "/api/v1/quarantine/pieces/{piece_id}"): "/api/v1/quarantine/pieces/1",
    ("get", "/api/stats"): "/api/stats",
    ("get", "/api/events/recent"): "/api/events/recent?limit=2&entity_id=sensor.kitchen",
    ("get", "/api/config"): "/api/config",
    ("put", "/api/config"): '/api/config {"weather_cache_minutes": 30}',
}
