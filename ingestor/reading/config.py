"""The settings in force as they are told: by key, with origin, no secret readable."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from ingestor.settings_faults import hide_in_url
from ingestor.settings_keys import all_keys
from ingestor.settings_sources import Loaded

#: The last four letters tell two tokens apart; of a short one they would tell too much.
_SHOWS_ITS_END: Final = 16


def shown_settings(loaded: Loaded) -> list[dict[str, Any]]:
    """Return key, value, origin and environment variable of every setting."""
    tree = plain(loaded.settings)
    return [
        {"key": key.name, "value": _at(tree, key.path), "origin": loaded.origins[key.name], "variable": key.variable}
        for key in all_keys()
    ]


def plain(value: Any) -> Any:
    """Return a value as plain JSON types, with secrets masked."""
    if isinstance(value, SecretStr):
        return mask(value.get_secret_value())
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {field.alias or name: plain(getattr(value, name)) for name, field in fields.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return hide_in_url(value) if isinstance(value, str) else value


def mask(secret: str) -> str:
    """Return a secret unreadable; of a long one the last four letters stay."""
    return f"****{secret[-4:]}" if len(secret) >= _SHOWS_ITS_END else "****"


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree
