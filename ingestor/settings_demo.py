"""Settings of the simulated home. Part of the tree in `settings`."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from ingestor.settings_types import Group

#: What speaks to the demo home; it listens on loopback only.
DEMO_TOKEN: Final = "demo-home-token"  # noqa: S105 -- opens a simulated home


class DemoSettings(Group):
    """The simulated home."""

    enabled: bool | None = Field(
        None, description="Run the demo home with `up`; default: only when no home is configured."
    )
    entities: int = Field(300, ge=10, le=20_000, description="Entities in the demo home.")
    rate: float = Field(5.0, gt=0, le=100_000, description="State changes a second.")
    seed: int = Field(1, description="The same seed gives the same home and the same day.")
    faults: Literal["none", "few", "all"] = Field(
        "few",
        description="Faults planted in it, for data quality to find; `demo-faults.json` in the data folder names them.",
    )
    port: int = Field(0, ge=0, le=65535, description="Port of its WebSocket API; 0: a free one.")
