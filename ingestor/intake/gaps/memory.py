"""What a listener must remember of its own end: the last event in its journal, and the gaps that nobody has noted yet.

Files beside the journal's, each replaced as a whole: whatever ends the process, the old content or the new is there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from ingestor.intake.gaps.gap import Gap

_log: Final = structlog.get_logger(__name__)
_HEARD: Final = "heard.json"
_PREFIX: Final = "gap-"


class GapMemory:
    """The files of one listener in its journal's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._failing = False
        self._written: bytes | None = None

    # -- how far was heard -------------------------------------------------------------------------------

    def before(self) -> Gap | None:
        """Return the gap that this run begins with; None where no earlier run has kept anything."""
        found = _read(self._folder / _HEARD)
        last_us, running = found.get("last_us"), found.get("gaps")
        for gap in running if isinstance(running, list) else []:
            with contextlib.suppress(KeyError, TypeError, ValueError):
                return Gap(str(gap["reason"]), int(gap["start_us"]))
        return Gap("not_running", last_us) if isinstance(last_us, int) and last_us > 0 else None

    def remember(self, last_us: int, running: list[Gap]) -> None:
        """Keep how far was heard. A disk that takes nothing leaves what was there: a gap then begins earlier."""
        running = sorted(running, key=lambda gap: gap.start_us)
        gaps = [{"reason": gap.reason, "start_us": gap.start_us} for gap in running]
        data = orjson.dumps({"last_us": last_us, "gaps": gaps})
        if last_us and data != self._written and self._write(_HEARD, data):
            self._written = data

    # -- gaps to be noted --------------------------------------------------------------------------------

    def keep(self, record: dict[str, Any]) -> bool:
        """Keep what is to be told of a gap, on the disk when this returns; False where the disk takes nothing."""
        return self._write(f"{_PREFIX}{record['start_us']}.json", orjson.dumps(record))

    def kept(self) -> Iterator[dict[str, Any]]:
        """Yield what is to be told, oldest first."""
        for path in sorted(self._folder.glob(f"{_PREFIX}*.json")):
            record = _read(path)
            if record:
                yield record
            else:
                path.unlink(missing_ok=True)

    def forget(self, record: dict[str, Any]) -> None:
        """Drop what was noted, unless there is more to tell of that gap by now."""
        path = self._folder / f"{_PREFIX}{record['start_us']}.json"
        if _read(path) == record:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _write(self, name: str, data: bytes) -> bool:
        path, new = self._folder / name, self._folder / f"{name}.new"
        try:
            with new.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            if not self._failing:
                _log.warning("gap_not_kept", file=str(path), error=str(error))
            self._failing = True
            return False
        self._failing = False
        return True


def _read(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
