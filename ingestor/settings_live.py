"""The settings of the live channel."""

from __future__ import annotations

from pydantic import Field

from ingestor.settings_types import Group


class LiveSettings(Group):
    """The live channel: what was just written, for those who listen now."""

    enabled: bool = Field(True, description="Tell of events when they are written; without it streams bring nothing.")
    max_entries: int = Field(
        20_000, ge=10, description="Most batches of a home that are kept, for who was away for a moment."
    )
    max_bytes: int = Field(
        16 * 1024 * 1024,
        ge=64 * 1024,
        description="Most bytes of them, in the state server's memory; where that is full they are given up first.",
    )
    max_listeners: int = Field(1000, ge=1, description="Most streams that one process of the API serves at once.")
    max_waiting: int = Field(
        1000, ge=1, description="Most messages that wait for a slow reader; beyond it they are let go, and it is told."
    )
    heartbeat_s: float = Field(
        15.0, gt=0, le=300, description="Seconds after which a quiet stream shows that it lives."
    )
