"""Which home is meant, by its name; asks the homes' maps only about one that is not in the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ingestor import errors
from ingestor.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa


def home_name(settings: Settings, name: str | None) -> str:
    """Return the name of a home that there is, the first one where none is said. Raises NotFound."""
    homes = [home.name for home in settings.all_homes()]
    if name is None:
        return homes[0]
    if name not in homes:
        raise errors.NotFound(f"there is no home named {name!r}; configured: {', '.join(homes)}")
    return name


def check_home(settings: Settings, name: str | None, database: Callable[[], sa.Engine]) -> None:
    """Raise NotFound for a home that never was; one that was taken out of the settings has a past. None: all homes.

    Blocks. Raises StoreUnavailable.
    """
    from ingestor.home.history import MapHistory  # noqa: PLC0415 -- the database is loaded when it is asked

    try:
        home_name(settings, name)
    except errors.NotFound:
        if name is None or not MapHistory(database()).has(name):
            raise
