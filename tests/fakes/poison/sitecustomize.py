"""Found first on the path of a test's workers: frames whose topic begins with `poison/` harm who decodes them."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import signal
import sys
from types import ModuleType
from typing import Any

_PATCHED = "ingestor.pipeline.validate"
#: More than `worker_max_memory_per_child`.
_SWELLS_BYTES = 420_000 * 1024


def _harmful(decode: Any) -> Any:
    def decode_or_die(frame: Any, *rest: Any) -> Any:
        if frame.topic == "poison/kills":
            os.kill(os.getpid(), signal.SIGKILL)
        if frame.topic == "poison/exits":
            raise SystemExit(3)
        if frame.topic == "poison/swells":
            _ = b"x" * _SWELLS_BYTES
        return decode(frame, *rest)

    return decode_or_die


class _Loader(importlib.abc.Loader):
    def __init__(self, real: Any) -> None:
        self._real = real

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._real.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        self._real.exec_module(module)
        module.DECODERS["topic"] = _harmful(module.DECODERS["topic"])


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        del target
        if name != _PATCHED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


sys.meta_path.insert(0, _Finder())
