"""Every router of the API, in the order in which paths are tried."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from ingestor.api.v1 import events, exports, history

#: A path with a fixed word (`/events/history`) stands before one that takes any (`/events/{event_id}`).
ROUTERS: Final[tuple[APIRouter, ...]] = (history.router, events.router, exports.router)
