"""Globs as they are asked for everywhere: `*` stands for any signs, `?` for one, all else for itself."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable


def compiled(patterns: Iterable[str]) -> re.Pattern[str]:
    """Return what matches a whole name that fits any of the globs, in time that does not explode with their stars."""
    # A bracket would begin a set. What `fnmatch` makes of stars never goes back behind one.
    return re.compile("|".join(fnmatch.translate(one.replace("[", "[[]")) for one in patterns))
