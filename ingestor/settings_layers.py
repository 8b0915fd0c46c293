"""One layer for each source of settings, and how they lie on one another; judges no value."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingestor.settings_faults import Fault, unreadable


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says. `origins` tells for a path where exactly, if the layer's name is not enough."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[tuple[str, ...], str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


class Layers:
    """Layers from the lowest to the highest; a higher one covers a lower one key by key."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._layers = list(layers)
        self.faults = [fault for layer in self._layers for fault in layer.faults]
        self.values: dict[str, Any] = {}
        for layer in self._layers:
            self.values = overlay(self.values, layer.values)

    def origin_of(self, path: tuple[str, ...]) -> str:
        """Say where the value of a path comes from."""
        for layer in reversed(self._layers):
            if holds(layer.values, path):
                above = (path[:length] for length in range(len(path), 0, -1))
                return next((layer.origins[part] for part in above if part in layer.origins), layer.name)
        return "default"


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one tree on another: tables are merged, anything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = overlay(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def holds(values: Any, path: tuple[str, ...]) -> bool:
    """Tell whether a tree has a value at a path; within a list, the list answers."""
    for step in path:
        if isinstance(values, list):
            return True
        if not isinstance(values, Mapping) or step not in values:
            return False
        values = values[step]
    return True


def file_layer(path: Path) -> Layer:
    """Read `ha-ingestor.toml`."""
    try:
        return Layer(str(path), tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        return Layer(str(path), faults=(unreadable(path, error),))
    except tomllib.TOMLDecodeError as error:
        return Layer(str(path), faults=(Fault(str(path), f"is not TOML: {error}", "a TOML file", ""),))
