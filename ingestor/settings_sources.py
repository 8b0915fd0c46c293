"""Where settings come from: command line > environment > `.env` > file > profile > default; writes none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import platformdirs
from pydantic import ValidationError

from ingestor import errors
from ingestor.settings import Settings
from ingestor.settings_faults import Fault, explain, faults_of
from ingestor.settings_keys import all_keys
from ingestor.settings_layers import Layer, Layers, file_layer
from ingestor.settings_profiles import profile_layer
from ingestor.settings_variables import command_line_layer, dotenv_layer, variables_layer

CONFIG_FILE: Final = "ha-ingestor.toml"
CONFIG_VARIABLE: Final = "HA_INGESTOR_CONFIG"
#: Marks a folder as our data folder (made by `ha-ingestor up`), so that commands beside it find it.
MARKER: Final = ".ha-ingestor"
_APPLICATION: Final = "ha-ingestor"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and for each key (dotted name) where its value came from."""

    settings: Settings
    origins: dict[str, str]
    config_file: Path | None = None


def load_settings(
    overrides: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Loaded:
    """Read all sources and check the whole tree.

    Args:
        overrides: What the command line says, by dotted name (`{"api.port": 8081}`).
        environ: The environment; that of this process if None.
        cwd: Where `.env` and `ha-ingestor.toml` are looked for; the working directory if None.

    Raises:
        InvalidSettings: with every fault in its message.
    """
    outcome = try_settings(overrides, environ=environ, cwd=cwd)
    if isinstance(outcome, Loaded):
        return outcome
    raise errors.InvalidSettings(explain(outcome))


def try_settings(
    overrides: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Loaded | list[Fault]:
    """Do as `load_settings`, but return the faults, each by itself, instead of raising."""
    environ = os.environ if environ is None else environ
    cwd = Path.cwd() if cwd is None else cwd
    config_file = find_config_file(environ, cwd)
    given = [
        *([file_layer(config_file)] if config_file else []),
        dotenv_layer(cwd / ".env"),
        variables_layer("environment", environ),
        command_line_layer(overrides or {}),
    ]
    defaults = Layer("default", {"data_dir": str(_default_data_dir(cwd))})
    layers = Layers([defaults, profile_layer(given), *given])
    try:
        settings = Settings.model_validate(layers.values)
    except ValidationError:
        return faults_of(layers)
    if layers.faults:
        return faults_of(layers)
    origins = {key.name: layers.origin_of(key.path) for key in all_keys()}
    return Loaded(_settled(settings, cwd), origins, config_file)


def find_config_file(environ: Mapping[str, str], cwd: Path) -> Path | None:
    """Return the file that HA_INGESTOR_CONFIG names, else the one in `cwd`; None where there is none."""
    if named := environ.get(CONFIG_VARIABLE):
        return cwd / Path(named).expanduser()
    return cwd / CONFIG_FILE if (cwd / CONFIG_FILE).is_file() else None


def _default_data_dir(cwd: Path) -> Path:
    if (cwd / "data" / MARKER).is_file():
        return cwd / "data"
    return Path(platformdirs.user_data_dir(_APPLICATION, appauthor=False))


def _settled(settings: Settings, cwd: Path) -> Settings:
    """Make the data folder absolute: child processes may stand elsewhere."""
    return settings.model_copy(update={"data_dir": Path(os.path.abspath(cwd / settings.data_dir.expanduser()))})  # noqa: PTH100 -- resolve() would follow links that the owner chose
