"""The answer of `/api/health`: every component, and in fixed words what a dashboard asks; judges nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ingestor import errors
from ingestor.api.health import Health
from ingestor.api.stats import Stats
from ingestor.reading.times import rfc3339_of_ns

#: A service as the dashboard calls it, and the component that tells of it.
_SERVICES: Final = {
    "websocket_client": "listeners",
    "enrichment_service": "workers",
    "influxdb": "store",
    "weather_api": "weather_api",
}


def health_object(found: Health, stats: Stats, board: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return how all is; `board` is what processes tell of themselves."""
    ok = {component.name: component.ok for component in found.components}
    listeners = [entry for key, entry in board.items() if key.startswith("listener:")]
    return {
        **found.as_dict(),
        "service_status": {
            service: "healthy" if ok.get(component, False) else "unhealthy" for service, component in _SERVICES.items()
        },
        "event_stats": stats.as_dict(),
        "connection_status": _connection(listeners),
        "last_updated": rfc3339_of_ns(time.time_ns()),
    }


def _connection(listeners: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return whether Home Assistant is heard, when it was last connected to, and how often again."""
    heard = [entry for entry in listeners if entry.get("kind") == "websocket"]
    since_ns = max((int(entry.get("up_since_ns") or 0) for entry in heard), default=0)
    again = sum(max(0, int(entry.get("connections") or 0) - 1) for entry in heard)
    connected = bool(heard) and all(entry.get("connected") for entry in heard)
    return {
        "connected": connected,
        "last_reconnect": rfc3339_of_ns(since_ns) if since_ns else None,
        "reconnect_count": again,
    }


def board_of(read: Any) -> dict[str, dict[str, Any]]:
    """Return what processes tell of themselves; nothing where the state server is away."""
    try:
        found: dict[str, dict[str, Any]] = read()
    except errors.IngestorError:
        return {}
    return found
