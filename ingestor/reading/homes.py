"""Which home is meant, by its name; asks nobody."""

from __future__ import annotations

from ingestor import errors
from ingestor.settings import Settings


def home_name(settings: Settings, name: str | None) -> str:
    """Return the name of a home that there is, the first one where none is said. Raises NotFound."""
    homes = [home.name for home in settings.all_homes()]
    if name is None:
        return homes[0]
    if name not in homes:
        raise errors.NotFound(f"there is no home named {name!r}; configured: {', '.join(homes)}")
    return name
