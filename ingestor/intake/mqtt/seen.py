"""The topics that a listener has seen: how often and when last, for people who look; so many and no more."""

from __future__ import annotations

from typing import Any, Final

#: Topics that are told by name: the first that come; what comes on others is counted together.
MOST_TOPICS: Final = 1000
_LONGEST: Final = 500
_NS_PER_US: Final = 1000


class SeenTopics:
    """Topics by their name. `note` belongs to one thread; `told` to any."""

    def __init__(self) -> None:
        self._topics: dict[str, list[Any]] = {}
        self._others = 0

    def note(self, topic: str, kind: str, received_ns: int) -> None:
        """Note a message."""
        known = self._topics.get(topic)
        if known is not None:
            known[1] += 1
            known[2] = received_ns
        elif len(self._topics) < MOST_TOPICS and len(topic) <= _LONGEST:
            self._topics[topic] = [kind, 1, received_ns]
        else:
            self._others += 1

    def told(self) -> dict[str, Any]:
        """Return the topics as (topic, kind, messages, last in Unix µs), and how many messages came on others."""
        topics = [(topic, kind, count, at // _NS_PER_US) for topic, (kind, count, at) in list(self._topics.items())]
        return {"topics": topics, "other_messages": self._others}
