"""Every router of the API, in the order in which paths are tried."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from ingestor.api import admin, workers
from ingestor.api.v1 import (
    events,
    export_jobs,
    exports,
    history,
    home,
    home_events,
    keeping,
    mqtt,
    quality,
    relationships,
    sign_in,
    socket,
    stream,
    webhooks,
)

#: A path with a fixed word (`/events/history`) stands before one that takes any (`/events/{event_id}`).
ROUTERS: Final[tuple[APIRouter, ...]] = (
    history.router,
    stream.router,
    socket.router,
    events.router,
    exports.router,
    export_jobs.router,
    home.router,
    home_events.router,
    relationships.router,
    quality.router,
    keeping.router,
    webhooks.router,
    mqtt.router,
    admin.router,
    workers.router,
    sign_in.router,
)
