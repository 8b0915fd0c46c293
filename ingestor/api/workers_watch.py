"""What the API tells of workers and queues: read side by side, kept for a second however many ask."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from ingestor import bootstrap, errors
from ingestor.api.side_by_side import SideBySide
from ingestor.queue.app import make_app
from ingestor.queue.depths import Depths
from ingestor.queue.names import TaskType
from ingestor.queue.oldest import OldestWaiting
from ingestor.queue.pauses import Pause, Pauses
from ingestor.settings import Settings

_KEPT_FOR_S: Final = 1.0
_TIMEOUT_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class WorkersSeen:
    """The status board, and what is known of the queues; None: not known just now."""

    board: dict[str, dict[str, Any]] | None
    depths: dict[str, int] | None
    oldest_s: dict[str, float] | None
    pauses: dict[TaskType, Pause] | None

    def known_board(self) -> dict[str, dict[str, Any]]:
        """Return the board. Raises StateUnavailable."""
        if self.board is None:
            raise errors.StateUnavailable
        return self.board


class WorkersWatch:
    """Reads it, for many threads; waits for nobody longer than three seconds."""

    def __init__(self, settings: Settings) -> None:
        self._depths = Depths(settings.broker_url)
        self._oldest = OldestWaiting(make_app(settings.broker_url), [kind.value for kind in TaskType])
        self._parts = SideBySide(
            {
                "board": bootstrap.open_status_board(settings).read,
                "depths": self._depths.read,
                "oldest": self._oldest.read,
                "pauses": Pauses(bootstrap.open_state(settings)).read,
            },
            timeout_s=_TIMEOUT_S,
        )
        self._lock = threading.Lock()
        self._kept: tuple[float, WorkersSeen] | None = None

    def read(self, *, fresh: bool = False) -> WorkersSeen:
        """Return it, as of at most a second ago, or of now; blocks."""
        with self._lock:
            if fresh or self._kept is None or time.monotonic() - self._kept[0] > _KEPT_FOR_S:
                found = {part: answer.value for part, answer in self._parts.ask().items()}
                seen = WorkersSeen(found["board"], found["depths"], found["oldest"], found["pauses"])
                self._kept = (time.monotonic(), seen)
            return self._kept[1]

    def close(self) -> None:
        """Give connections back."""
        self._parts.close()
        self._depths.close()
        self._oldest.close()
