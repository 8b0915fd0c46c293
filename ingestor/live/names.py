"""The names of live messages: what a subscriber can hear of; decides nothing."""

from __future__ import annotations

from typing import Final, Literal, get_args

Name = Literal[
    "event.new",
    "event.updated",
    "event.deleted",
    "automation.triggered",
    "automation.executed",
    "automation.failed",
    "device.online",
    "device.offline",
    "device.error",
    "system.healthy",
    "system.warning",
    "system.error",
]
NAMES: Final[tuple[Name, ...]] = get_args(Name)
