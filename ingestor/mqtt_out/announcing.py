"""Announces our sensors to Home Assistant. One announcement that the broker refuses must not hold the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from ingestor import errors
from ingestor.mqtt_out.refused import ENDED, Refusals
from ingestor.mqtt_out.suspects import MOST_ENDS, Sent

Publish = Callable[[str, bytes], int]


class Announcer:
    """Publishes configs, but for those with which the connection has ended again and again."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._under_way: dict[int, Sent] = {}
        self._ends: Counter[str] = Counter()

    def announce(self, configs: Mapping[str, bytes], publish: Publish) -> None:
        """Publish configs, by topic. Raises NobodyListens."""
        for topic, config in configs.items():
            sent = Sent(topic, "discovery", topic, len(config))
            if self._ends[topic] >= MOST_ENDS:
                self._refuse(sent, ENDED)
                continue
            try:
                self._under_way[publish(topic, config)] = sent
            except errors.Rejected as error:
                self._refuse(sent, error.detail)

    def note_down(self, oldest: int) -> None:
        """Note that the connection ended; `oldest`: id of the first of all that was not confirmed."""
        if (sent := self._under_way.get(oldest)) is not None:
            self._ends[sent.topic] += 1
        self._under_way.clear()

    def note_confirmed(self, message_id: int, refused: str) -> None:
        """Note that the broker has one, or why it refuses it."""
        sent = self._under_way.pop(message_id, None)
        if sent is None:
            return
        del self._ends[sent.topic]
        if refused:
            self._refuse(sent, refused)

    def _refuse(self, sent: Sent, why: str) -> None:
        """Tell it once: it is tried again whenever all are announced."""
        if not self._refusals.knows(sent.key):
            self._refusals.note(sent, why)
