"""The audit: who changed what, when, in a file that is only added to; holds no secret."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from ingestor.security.access import Principal

AUDIT_FILE: Final = "audit.jsonl"
#: A file that is longer is set aside, in the place of the one before.
MAX_BYTES: Final = 4 * 1024 * 1024
_log: Final = structlog.get_logger(__name__)


class Audit:
    """Adds lines to the audit in the data folder, readable by its owner alone. For many threads."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / AUDIT_FILE
        self._lock = threading.Lock()

    def note(self, principal: Principal, action: str, about: Mapping[str, Any]) -> None:
        """Note what somebody did; on the disk when this returns. Raises OSError: what cannot be noted is not done."""
        line = {"time_us": time.time_ns() // 1000, "who": principal.name, "action": action, **about}
        with self._lock:
            if self.path.exists() and self.path.stat().st_size > MAX_BYTES:
                self.path.replace(self.path.with_suffix(".1.jsonl"))
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "ab") as file:
                file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
                file.flush()
                os.fsync(file.fileno())
        _log.info("audited", who=principal.name, action=action, **about)
