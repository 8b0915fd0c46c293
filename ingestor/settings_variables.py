"""Settings from variables: the environment, `.env` and the command line; judges no value."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import dotenv
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from ingestor.settings import Settings
from ingestor.settings_faults import Fault, did_you_mean, unreadable
from ingestor.settings_keys import PREFIX, Key, all_groups, all_keys, variable_of
from ingestor.settings_layers import Layer
from ingestor.settings_types import may_be_absent

COMMAND_LINE: Final = "command line"
_FILE_SUFFIX: Final = "_FILE"
#: Ours, but no settings; and what Kubernetes and Docker set for a service of our name.
_NO_SETTING: Final = re.compile(
    rf"{PREFIX}(CONFIG|(TEST|BENCH)_\w+|(\w+_)?SERVICE_(HOST|PORT(_\w+)?)|([A-Z]+_)?PORT(_\d+_(TCP|UDP)(_\w+)?)?)"
)


class SettingsTree(Settings, BaseSettings):
    """The tree as pydantic-settings knows it: how variables are named."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)


class _Variables(EnvSettingsSource):
    """Reads the tree from given variables. A list may be JSON, or plain words with commas between."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        super().__init__(SettingsTree)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._variables.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Read JSON; what is none stays as it is, so that the check of the tree names it with the other faults."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            looks_like_json = value.lstrip().startswith(("[", "{"))
            return value if looks_like_json else [word.strip() for word in value.split(",")]


def variables_layer(name: str, variables: Mapping[str, str]) -> Layer:
    """Take the variables that are settings; a `..._FILE` names a file that holds the value."""
    ours = {variable.upper(): text for variable, text in variables.items() if variable.upper().startswith(PREFIX)}
    reading = _Reading(name, ours)
    for variable, text in ours.items():
        reading.take(variable, text)
    return Layer(name, _Variables(reading.values)(), reading.origins, tuple(reading.faults))


def dotenv_layer(path: Path) -> Layer:
    """Read `.env`, where there is one. Values stand for themselves: a `$` in a password is a `$`."""
    try:
        found = dotenv.dotenv_values(path, interpolate=False) if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        return Layer(".env", faults=(unreadable(path, error),))
    return variables_layer(".env", {name: value for name, value in found.items() if value is not None})


def command_line_layer(overrides: Mapping[str, Any]) -> Layer:
    """Take what the command line says, by dotted name."""
    return variables_layer(COMMAND_LINE, as_variables(overrides))


def as_variables(overrides: Mapping[str, Any]) -> dict[str, str]:
    """Return values by dotted name as environment variables, for a process that is started."""
    return {variable_of(tuple(name.split("."))): as_text(value) for name, value in overrides.items()}


def as_text(value: Any) -> str:
    """Return a value as an environment variable would hold it."""
    if isinstance(value, (list, tuple, dict, bool)):
        return json.dumps(value)
    return "" if value is None else str(value)


@dataclass(slots=True)
class _Reading:
    """What comes of the variables of one source."""

    source: str
    given: Mapping[str, str]
    values: dict[str, str] = field(default_factory=dict)
    origins: dict[tuple[str, ...], str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def take(self, variable: str, text: str) -> None:
        """Sort one variable in."""
        target = variable.removesuffix(_FILE_SUFFIX)
        if variable in _known() or variable in _group_variables():
            self._set(variable, text, variable)
        elif target != variable and target in _known():
            self._set_from_file(target, text, variable)
        elif not _NO_SETTING.fullmatch(variable):
            self.faults.append(_unknown(variable, self.source))

    def _set_from_file(self, target: str, path: str, variable: str) -> None:
        if self.given.get(target):
            self.faults.append(Fault(variable, f"{target} is set too", "one of the two", self.source))
            return
        try:
            self._set(target, Path(path).read_text("utf-8").strip(), variable)
        except (OSError, UnicodeDecodeError, ValueError) as error:
            self.faults.append(unreadable(variable, error, path))

    def _set(self, target: str, text: str, variable: str) -> None:
        key = _known().get(target)
        # Empty is "not set" (Compose passes variables so), but where it may switch something off.
        if text or (key is not None and may_be_absent(key.annotation)):
            self.values[target] = text
            self.origins[_path(target)] = self.source if self.source == COMMAND_LINE else f"{self.source} {variable}"


@functools.cache
def _known() -> dict[str, Key]:
    return {key.variable: key for key in all_keys()}


@functools.cache
def _group_variables() -> frozenset[str]:
    return frozenset(variable_of(path) for path in all_groups())


def _path(variable: str) -> tuple[str, ...]:
    return tuple(variable.removeprefix(PREFIX).lower().split("__"))


def _unknown(variable: str, source: str) -> Fault:
    if source == COMMAND_LINE:
        name, names = ".".join(_path(variable)), [key.name for key in all_keys()]
    else:
        name, names = variable, list(_known())
    return Fault(name, "is not a setting", did_you_mean(name, names), source)
