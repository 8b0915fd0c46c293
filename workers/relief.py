"""Frees memory of a broker at its ceiling, where else nothing would drain any more (rule 16); enqueues nothing.

At the ceiling Celery's workers exit on their own bookkeeping, and new ones cannot start. Listeners hold long before
that, so it takes somebody else's keys, or messages of ours that grew. Two things help without a worker: the embedded
broker has a reserve above its ceiling; and messages of the pipeline may be deleted, since the journals have their
batches and send them again when there is room.
"""

from __future__ import annotations

from typing import Any, Final

import redis
import structlog

from ingestor.queue import names
from ingestor.queue.depths import redis_address
from ingestor.queue.state import connect_state
from ingestor.settings import Settings

_log: Final = structlog.get_logger("workers")
#: Share of the ceiling from which a broker counts as full. Redis refuses at 1; workers need room for what they note.
FULL_AT: Final = 0.95
#: What the embedded broker may use above its ceiling while it is full.
RESERVE: Final = 1.25
#: The reserve is taken back below this share of the ceiling.
_CLOSE_AT: Final = 0.8
_LOOK_EVERY_S: Final = 1.0
_AWAY_S: Final = 5.0


class Relief:
    """Looks after the memory of one Redis; for one thread."""

    def __init__(self, client: Any, *, own_ceiling_bytes: int | None) -> None:
        self._client = client
        self._own_ceiling_bytes = own_ceiling_bytes
        self.news: list[str] = []
        self.trimmed = 0

    def step(self) -> float:
        """Look, and help where it is needed; return the seconds until the next look."""
        try:
            self._help(self._client.info("memory"))
        except redis.RedisError as error:
            _log.debug("relief_waits", error=str(error))
            return _AWAY_S
        return _LOOK_EVERY_S

    def take_news(self) -> list[str]:
        """Return what happened since the last call, as sentences for the operator."""
        said, self.news = self.news, []
        return said

    def _help(self, memory: dict[str, Any]) -> None:
        used, limit = int(memory["used_memory"]), int(memory.get("maxmemory", 0))
        ceiling = self._own_ceiling_bytes
        if limit and used >= limit * FULL_AT:
            if ceiling is not None and limit < int(ceiling * RESERVE):
                self._open_reserve(int(ceiling * RESERVE), used)
            else:
                self._trim(used)
        elif ceiling is not None and limit > ceiling and used < ceiling * _CLOSE_AT:
            self._client.config_set("maxmemory", ceiling)
            self._say("the broker has room again", used=used)

    def _open_reserve(self, limit: int, used: int) -> None:
        self._client.config_set("maxmemory", limit)
        self._say(f"the broker is full: its reserve was opened ({limit // 2**20} MiB)", used=used)

    def _trim(self, used: int) -> None:
        """Delete the newer half of the longest queue: those behind it are the first that a journal sends again."""
        depths = {queue.value: int(self._client.llen(queue.value)) for queue in names.PIPELINE}
        queue = max(depths, key=lambda name: depths[name])
        if not depths[queue]:
            return
        dropped = (depths[queue] + 1) // 2
        # Celery pushes on the left and takes from the right: the newest are first.
        self._client.ltrim(queue, dropped, -1)
        self.trimmed += dropped
        self._say(f"the broker is full: {dropped} messages of {queue} were taken out; journals have them", used=used)

    def _say(self, sentence: str, *, used: int) -> None:
        _log.warning("broker_relief", what=sentence, used_bytes=used)
        self.news.append(sentence)


def relief_for(settings: Settings) -> Relief | None:
    """Return the relief of the configured broker; None where it is no Redis."""
    url = settings.broker_url
    if url.startswith("amqp"):
        return None  # RabbitMQ blocks who publishes at its memory mark, and lets consumers go on
    client = connect_state(redis_address(url))
    own = settings.broker.max_memory_bytes if settings.broker.url == "embedded" else None
    return Relief(client, own_ceiling_bytes=own)
