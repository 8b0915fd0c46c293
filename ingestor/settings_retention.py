"""Settings of retention: for how long events are kept. Part of the tree in `settings`."""

from __future__ import annotations

from pydantic import Field

from ingestor.settings_types import Group


class RetentionSettings(Group):
    """How long events are kept."""

    days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        description="Days after which stored events, and pieces in quarantine, are deleted; default: never."
        " `ha-ingestor retention` says what that would be.",
    )
