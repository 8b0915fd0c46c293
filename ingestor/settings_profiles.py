"""Named sets of defaults: what a user sets holds over them, key by key; decides nothing at run time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ingestor.settings_layers import Layer, overlay

#: For a machine with little memory and a home's usual rate: latency of a second, for a third of the memory.
_SMALL: Final[Mapping[str, Any]] = {
    "batch": {"flush_after_s": 1.0, "busy_flush_after_s": 2.0},
    # Two processes: a long read of history does not keep what happens now from being written.
    "workers": {"together": 2},
    "flower": {"enabled": False},
    "broker": {"max_memory_bytes": 96 * 1024 * 1024},
    "state": {"written_max": 100_000},
    "live": {"max_bytes": 4 * 1024 * 1024},
    "journal": {"segment_bytes": 8 * 1024 * 1024},
}
#: For one machine that is to be quick: no queue between the steps, and batches that close sooner. A third less CPU an
#: event is what pays for the batches.
_LOW_LATENCY: Final[Mapping[str, Any]] = {
    "batch": {"flush_after_s": 0.015},
    "workers": {"together": 2},
}
PROFILES: Final[Mapping[str, Mapping[str, Any]]] = {"standard": {}, "small": _SMALL, "low-latency": _LOW_LATENCY}


def profile_layer(layers: Iterable[Layer]) -> Layer:
    """Return the defaults of the profile that these layers name, the highest of them; none for a name not known."""
    values: dict[str, Any] = {}
    for layer in layers:
        values = overlay(values, layer.values)
    name = str(values.get("profile") or "standard")
    return Layer(f"profile {name}", dict(PROFILES.get(name, {})))
