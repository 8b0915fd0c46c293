"""The scheduler of beat: RedBeat, that outlives its broker and shows that it lives; decides not what is due."""

from __future__ import annotations

from typing import Any, Final

from celery.beat import SchedulingError
from redbeat import RedBeatScheduler

from ingestor import bootstrap
from ingestor.queue.alive import AliveFile

#: RabbitMQ confirms what it has. Where it neither does so nor ends the connection, it is tried again.
_ANSWER_S: Final = 5.0


class Scheduler(RedBeatScheduler):  # type: ignore[misc]  # redbeat has no types
    """Sends what is due on a connection that works, and later where none does.

    Celery gives beat one producer for its whole life. On RabbitMQ its channel ends with the connection, and nothing
    that is due was ever sent again: no gap filled, nothing counted, no registry read.
    """

    #: None: each task is sent with a producer from the pool, whose connection is made anew where it has ended.
    producer = None
    _alive: AliveFile | None = None
    _away = False

    @property
    def reaches_broker(self) -> bool:
        """Whether the broker took what was sent last."""
        return not self._away

    def tick(self, *arguments: Any, **options: Any) -> float:
        """Send what is due, and show life: one that hangs is started again by the supervisor."""
        if self._alive is None:
            self._alive = AliveFile(bootstrap.settings().data_dir)
        self._alive.beat()
        self._away = False
        seconds: float = super().tick(*arguments, **options)
        return seconds

    def maybe_due(self, entry: Any, **options: Any) -> float:
        """Send a task if it is due. One that was not taken in this tick is enough: each try waits 4 s for a broker."""
        if self._away:
            return 0.0
        seconds: float = super().maybe_due(entry, **options)
        return seconds

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **options: Any) -> Any:
        """Send a task; where that fails it stays due, for some are due once an hour. Raises SchedulingError."""
        entry.options = {"timeout": _ANSWER_S, "confirm_timeout": _ANSWER_S, **entry.options}
        try:
            return super().apply_async(entry, producer=producer, advance=advance, **options)
        except SchedulingError:
            self._away = True
            entry.reschedule(entry.last_run_at)
            raise

    def close(self) -> None:
        """Give back the lock, and leave no sign of life behind."""
        if self._alive is not None:
            self._alive.remove()
        super().close()
