"""Settings of export jobs: how long files are kept, and how much room they may take. Part of the tree in `settings`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from ingestor.settings_types import Group


class ExportSettings(Group):
    """Export jobs: large files that workers make, to be fetched when they are ready."""

    folder: Path | None = Field(
        None,
        description="Where files are made and kept; default: `exports` in the data folder. API and workers share it.",
    )
    keep_hours: float = Field(24.0, gt=0, le=8760, description="Hours after which a file that is ready is removed.")
    max_bytes: int = Field(
        5_000_000_000, ge=1_000_000, description="Most bytes that all jobs may take on the disk, unfinished ones too."
    )
    keep_free_bytes: int = Field(
        1_000_000_000, ge=0, description="Bytes that stay free on the disk: a job that would take them fails."
    )
    max_jobs: int = Field(50, ge=1, le=1000, description="Most jobs that are kept, those that failed too.")
