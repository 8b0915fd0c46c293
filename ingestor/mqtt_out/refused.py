"""What the broker refuses and is passed over: counted, logged, told; none of it is silent. Decides nothing."""

from __future__ import annotations

from typing import Any, Final

import structlog

from ingestor.mqtt_out.suspects import MOST_ENDS, Sent

ENDED: Final = f"the connection ended {MOST_ENDS} times over it"
_LONGEST_TOPIC: Final = 200
#: Of so many it is known that they were passed over, where what was on its way with them is published again.
_MOST_KNOWN: Final = 1000
_log: Final = structlog.get_logger(__name__)


class Refusals:
    """How many messages were passed over since it started, and the last of them."""

    def __init__(self) -> None:
        self._count = 0
        self._last = ""
        self._known: dict[str, None] = {}

    def knows(self, key: str) -> bool:
        """Tell whether a message was passed over."""
        return key in self._known

    def note(self, sent: Sent, why: str) -> None:
        """Note a message that is passed over."""
        self._count += 1
        self._known[sent.key] = None
        if len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        topic = ascii(sent.topic)[1:-1][:_LONGEST_TOPIC]
        self._last = f"{sent.size:,} bytes on {topic}: {why}"
        _log.warning("mqtt_out_refused", topic=topic, bytes=sent.size, message=sent.key, why=why)

    def told(self) -> dict[str, Any]:
        """Return it for the board of topics."""
        return {"refused": self._count, "last_refused": self._last}
