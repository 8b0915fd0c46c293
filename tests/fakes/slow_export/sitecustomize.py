"""Put on PYTHONPATH, it lets a worker write two slices of an export, and no third before a file is there."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ingestor.export.jobs import slices, work

_GATE = Path(os.environ["HA_INGESTOR_TEST_EXPORT_GATE"])
_write = slices.write_slice


def _write_slowly(folder: Path, number: int, events: list[Any]) -> None:
    while number > 1 and not _GATE.exists():
        time.sleep(0.05)
    _write(folder, number, events)


vars(work)["write_slice"] = _write_slowly
