"""One layer for each source of settings, and how they lie on one another; judges no value."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingestor.settings_faults import Fault, unreadable
from ingestor.settings_lines import lines_of


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says. `origins` tells for a path where exactly, if the layer's name is not enough."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[tuple[str, ...], str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)

    def line_of(self, path: tuple[str, ...]) -> int:
        """Return the line of a path, of what is round it, or of the first that is below it; 0 where none is known."""
        above = (path[:length] for length in range(len(path), 0, -1))
        found = next((self.lines[part] for part in above if part in self.lines), 0)
        below = (line for where, line in self.lines.items() if where[: len(path)] == path)
        return found or min(below, default=0)


class Layers:
    """Layers from the lowest to the highest; a higher one covers a lower one key by key."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._layers = list(layers)
        self.faults = [fault for layer in self._layers for fault in layer.faults]
        self.values: dict[str, Any] = {}
        for layer in self._layers:
            self.values = overlay(self.values, layer.values)

    def line_of(self, path: tuple[str, ...]) -> str:
        """Say in which line of the settings file that is, ", line 7"; "" where it comes from elsewhere."""
        layer = next((layer for layer in reversed(self._layers) if holds(layer.values, path)), None)
        line = layer.line_of(path) if layer else 0
        return f", line {line}" if line else ""

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
        text = path.read_text("utf-8")
        return Layer(str(path), tomllib.loads(text), lines=lines_of(text))
    except (OSError, UnicodeDecodeError) as error:
        return Layer(str(path), faults=(unreadable(path, error),))
    except tomllib.TOMLDecodeError as error:
        return Layer(str(path), faults=(Fault(str(path), f"is not TOML: {error}", "a TOML file", ""),))
