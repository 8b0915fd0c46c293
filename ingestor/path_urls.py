"""Paths of files as addresses and back: whatever signs a folder's name has, its `#` or `?` ends no address early."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, unquote


def url_of_path(scheme: str, path: Path, query: str) -> str:
    """Return the address of a socket: `unix:///srv/HA%20%231/valkey.sock?db=0`."""
    return f"{scheme}://{quote(os.fsencode(path))}?{query}"


def sqlite_url(path: Path) -> str:
    """Return the address of a SQLite file, which has one slash more."""
    return f"sqlite:///{quote(os.fsencode(path))}"


def path_of_url(quoted: str) -> str:
    """Return the path that stands quoted in an address."""
    return unquote(quoted, errors="surrogateescape")
