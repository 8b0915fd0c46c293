"""Changes the settings file: what was checked as a whole, in one step, with its comments kept."""
# ruff: noqa: PLC0415 -- tomlkit is loaded when something is changed

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ingestor import errors
from ingestor.settings_demo import DEMO_TOKEN
from ingestor.settings_faults import explain
from ingestor.settings_keys import key_named
from ingestor.settings_sources import CONFIG_FILE, CONFIG_VARIABLE, Loaded, find_config_file, try_settings

_SECRET_MODE: Final = 0o600
#: What `up` tells all processes of the demo home, and by what that is known.
_OF_THE_DEMO: Final = frozenset({"homeassistant.url", "homeassistant.token"})
_DEMO_MARK: Final = "HA_INGESTOR_HOMEASSISTANT__TOKEN"


class SettingsFile:
    """The settings file of a process: the one that `HA_INGESTOR_CONFIG` names, else the one in `cwd`."""

    def __init__(
        self,
        overrides: Mapping[str, Any] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._overrides = dict(overrides or {})
        self._environ = dict(os.environ if environ is None else environ)
        self._cwd = Path.cwd() if cwd is None else cwd
        self._lock = threading.Lock()

    @property
    def path(self) -> Path:
        """Where the file is, or would be."""
        return find_config_file(self._environ, self._cwd) or self._cwd / CONFIG_FILE

    def load(self) -> Loaded:
        """Read all sources as a process that starts now would. Raises InvalidSettings."""
        return self._loaded(self.path if self.path.exists() else None)

    def change(self, decide: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Set keys (dotted name) in the file, or take them out (None): what `decide` returns, while nobody else writes.

        Return that. Raises what `decide` raises, InvalidSettings where the whole would not be in order, Conflict where
        another source is stronger than the file or the file cannot be written. Then nothing is changed.
        """
        with self._alone() as path:
            wanted = decide()
            if wanted:
                self._write(path, wanted)
            return wanted

    @contextmanager
    def _alone(self) -> Iterator[Path]:
        """Keep out all others that change the file, of other processes too; yield where it is."""
        with self._lock:
            path = self.path
            try:
                folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            except OSError as error:
                raise errors.Conflict(f"{path.parent} cannot be written: {error.strerror}") from error
            try:
                # Of the folder, since the file is another one after each change.
                fcntl.flock(folder, fcntl.LOCK_EX)
                yield path
            finally:
                os.close(folder)

    def _write(self, path: Path, wanted: Mapping[str, Any]) -> None:
        import tomlkit
        from tomlkit.exceptions import TOMLKitError

        try:
            document = tomlkit.parse(path.read_text("utf-8") if path.exists() else "")
        except (OSError, ValueError, TOMLKitError) as error:
            raise errors.Conflict(f"{path} cannot be read: {error}") from error
        for name, value in wanted.items():
            _put(document, name.split("."), value)
        self._replace(path, tomlkit.dumps(document), wanted)

    def _replace(self, path: Path, text: str, wanted: Mapping[str, Any]) -> None:
        try:
            handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".toml", dir=path.parent)
        except OSError as error:
            raise errors.Conflict(f"{path.parent} cannot be written: {error.strerror}") from error
        made = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            loaded = self._loaded(made, shown_as=path)
            for key in wanted:
                origin = loaded.origins[key]
                if made.name not in origin and not (wanted[key] is None and origin.startswith(("default", "profile"))):
                    raise errors.Conflict(self._held(key, origin, path))
            made.chmod(path.stat().st_mode & 0o777 if path.exists() else _SECRET_MODE)
            made.replace(path)
        except OSError as error:
            raise errors.Conflict(f"{path} cannot be written: {error.strerror}") from error
        finally:
            made.unlink(missing_ok=True)

    def _held(self, key: str, origin: str, path: Path) -> str:
        """Return what holds a setting that the file cannot change."""
        if key in _OF_THE_DEMO and self._environ.get(_DEMO_MARK) == DEMO_TOKEN:
            return (
                f"{key} is that of the demo home, which `ha-ingestor up` has started: put homeassistant.url and "
                f"homeassistant.token of your home into {path}, and start `ha-ingestor up` again (without demo.enabled)"
            )
        variable = getattr(key_named(key), "variable", "")
        return f"{key} is set by {origin}, which is stronger than {path.name} ({variable})"

    def _loaded(self, file: Path | None, shown_as: Path | None = None) -> Loaded:
        environ = {name: value for name, value in self._environ.items() if name != CONFIG_VARIABLE}
        if file is not None:
            environ[CONFIG_VARIABLE] = str(file)
        outcome = try_settings(self._overrides, environ=environ, cwd=self._cwd)
        if isinstance(outcome, Loaded):
            return outcome
        told = explain(outcome)
        raise errors.InvalidSettings(told.replace(str(file), str(shown_as)) if shown_as else told)


def _put(document: Any, path: list[str], value: Any) -> None:
    """Put a value at a path, or take away what is there."""
    import tomlkit

    table = document
    for step in path[:-1]:
        if step not in table:
            if value is None:
                return
            table[step] = tomlkit.table()
        table = table[step]
        if not isinstance(table, Mapping):
            raise errors.Conflict(f"{step} is no table in the settings file")
    if value is None:
        table.pop(path[-1], None)
    else:
        table[path[-1]] = value
