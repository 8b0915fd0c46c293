"""Every router of the API, in the order in which paths are tried."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from ingestor.api.v1 import events, exports

#: A path with a fixed word (`/events/history`) stands before one that takes any (`/events/{event_id}`).
ROUTERS: Final[tuple[APIRouter, ...]] = (events.router, exports.router)
