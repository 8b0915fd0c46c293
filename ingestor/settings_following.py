"""Settings that take effect while a process runs: which they are, and how it hears of them; changes none.

Each process looks at the settings file once a second. What is not among these holds from the next start on.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from pydantic import BaseModel

from ingestor import errors
from ingestor.settings import Settings
from ingestor.settings_keys import all_keys
from ingestor.settings_sources import find_config_file, load_settings

Group = TypeVar("Group", bound=BaseModel)
#: What follows at once, by dotted name; `*` stands for one pool.
LIVE: Final = (
    "log.level",
    "weather.cache_minutes",
    "retention.days",
    "quality.future_s",
    "quality.severity",
    "quality.rules",
    "quality.over_time.settle_minutes",
    "quality.over_time.hours_days",
    "quality.over_time.days",
    "workers.pools.*.nodes",
    "workers.pools.*.nodes_max",
)
_LOOK_EVERY_S: Final = 1.0
_log: Final = structlog.get_logger(__name__)


def is_live(key: str) -> bool:
    """Tell whether a setting (dotted name) takes effect without a restart."""
    return any(fnmatchcase(key, pattern) for pattern in LIVE)


def live_keys() -> list[str]:
    """Return every setting (dotted name) that is one value and takes effect without a restart."""
    return [key.name for key in all_keys() if is_live(key.name) and key.name != "quality.rules"]


def differing(one: BaseModel, other: BaseModel, prefix: str = "") -> list[str]:
    """Return the dotted names of the settings that two trees have different values of."""
    found: list[str] = []
    for name, field in type(one).model_fields.items():
        left, right = getattr(one, name), getattr(other, name)
        key = f"{prefix}{field.alias or name}"
        if isinstance(left, BaseModel) and type(left) is type(right):
            found += differing(left, right, f"{key}.")
        elif left != right:
            found.append(key)
    return found


def taken(into: Group, source: BaseModel, keys: Collection[str], prefix: str = "") -> Group:
    """Return a tree with these values taken from another one."""
    changes: dict[str, Any] = {}
    for name, field in type(into).model_fields.items():
        key, old = f"{prefix}{field.alias or name}", getattr(into, name)
        if key in keys:
            changes[name] = getattr(source, name)
        elif isinstance(old, BaseModel) and any(one.startswith(f"{key}.") for one in keys):
            changes[name] = taken(old, getattr(source, name), keys, f"{key}.")
    return into.model_copy(update=changes) if changes else into


class SettingsFollower:
    """Looks at the settings file. Children that are forked go on from where their parent was."""

    def __init__(
        self,
        load: Callable[[], Settings],
        path: Callable[[], Path | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._path = path
        self._clock = clock
        self._looked_s = clock()
        self._stamp = self._stamp_now()
        self._now: Settings | None = None
        self._changed: frozenset[str] = frozenset()
        self._begin()

    def look(self) -> frozenset[str]:
        """Return the live settings (dotted names) that have changed since the last look, none at most times."""
        now_s = self._clock()
        if now_s - self._looked_s < _LOOK_EVERY_S:
            return frozenset()
        self._looked_s = now_s
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return frozenset()
        self._stamp = stamp
        return self._read()

    def apply(self, settings: Settings) -> Settings:
        """Return the settings of a process as they are by now."""
        return settings if self._now is None else taken(settings, self._now, self._changed)

    def level(self) -> str:
        """Return the level of the log that is set by now."""
        return "info" if self._now is None else self._now.log.level

    def _begin(self) -> None:
        try:
            self._now = self._load()
        except errors.InvalidSettings:
            self._now = None  # the process itself says so

    def _read(self) -> frozenset[str]:
        try:
            found = self._load()
        except errors.InvalidSettings as error:
            _log.warning("settings_not_followed", error=str(error)[:500])
            return frozenset()
        before, self._now = self._now, found
        changed = frozenset(key for key in differing(before, found) if is_live(key)) if before else frozenset[str]()
        self._changed |= changed
        if changed:
            _log.info("settings_followed", keys=sorted(changed))
        return changed

    def _stamp_now(self) -> tuple[str, int, int] | None:
        path = self._path()
        try:
            found = path.stat() if path else None
        except OSError:
            return None
        return None if found is None else (str(path), found.st_ino, found.st_mtime_ns)


@functools.cache
def follower() -> SettingsFollower:
    """Return what this process follows by. First asked for when it starts."""
    return SettingsFollower(lambda: load_settings().settings, lambda: find_config_file(os.environ, Path.cwd()))
