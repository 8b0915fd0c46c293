"""The entities that discovery has announced, by the topic that they are read from; bounded, reads no config.

Whoever may publish may announce: what is announced is kept within limits, and what is beyond them is refused.
"""

from __future__ import annotations

from typing import Final

from ingestor.events.mqtt_models import DiscoveredEntity
from ingestor.intake.mqtt.filters import is_wide, matches

MAX_ENTITIES: Final = 50_000
#: All that entities say of themselves, together (characters): templates are the most of it.
MAX_TEXT: Final = 32 * 1024 * 1024
#: Entities that read one topic, and what they say of themselves: each message there is kept together with that.
MAX_AT_TOPIC: Final = 500
MAX_TEXT_AT_TOPIC: Final = 512 * 1024
#: State topics with wildcards: each message is compared with every one of them.
MAX_WIDE: Final = 50
#: What an entity costs besides its texts (characters).
_ENTITY_COST: Final = 200

Announcement = tuple[str, DiscoveredEntity]


class Announced:
    """Announcements by the config that made them; `refused` counts those that there was no room for."""

    def __init__(self) -> None:
        self._by_config: dict[str, list[Announcement]] = {}
        self._by_topic: dict[str, list[DiscoveredEntity]] = {}
        self._text_at: dict[str, int] = {}
        self._wide: dict[str, None] = {}
        self._entities = 0
        self._text = 0
        self.refused = 0

    def __len__(self) -> int:
        return self._entities

    def __contains__(self, config_topic: str) -> bool:
        return config_topic in self._by_config

    def replace(self, config_topic: str, found: list[Announcement]) -> None:
        """Put what a config announces now in the place of what it announced before."""
        for state_topic, entity in self._by_config.pop(config_topic, ()):
            self._remove(state_topic, entity)
        kept = [one for one in found if self._add(*one)]
        self.refused += len(found) - len(kept)
        if kept:
            self._by_config[config_topic] = kept

    def at(self, topic: str, *, also_wide: bool) -> list[DiscoveredEntity]:
        """Return the entities that are read from a topic; `also_wide`: those of a filter that matches it."""
        found = list(self._by_topic.get(topic, ()))
        if also_wide and self._wide:
            for one in self._wide:
                if matches(one, topic):
                    found += self._by_topic[one]
        return found[:MAX_AT_TOPIC]

    def topics(self) -> list[str]:
        """Return all state topics."""
        return list(self._by_topic)

    def _add(self, topic: str, entity: DiscoveredEntity) -> bool:
        cost = _cost(topic, entity)
        here, text_here = len(self._by_topic.get(topic, ())), self._text_at.get(topic, 0)
        wide = is_wide(topic)
        if (
            self._entities >= MAX_ENTITIES
            or self._text + cost > MAX_TEXT
            or here >= MAX_AT_TOPIC
            or text_here + cost > MAX_TEXT_AT_TOPIC
            or (wide and not here and len(self._wide) >= MAX_WIDE)
        ):
            return False
        self._by_topic.setdefault(topic, []).append(entity)
        self._text_at[topic] = text_here + cost
        self._entities += 1
        self._text += cost
        if wide:
            self._wide[topic] = None
        return True

    def _remove(self, topic: str, entity: DiscoveredEntity) -> None:
        cost = _cost(topic, entity)
        self._entities -= 1
        self._text -= cost
        # By identity: two configs may announce equal entities.
        rest = [one for one in self._by_topic[topic] if one is not entity]
        if rest:
            self._by_topic[topic] = rest
            self._text_at[topic] -= cost
            return
        del self._by_topic[topic], self._text_at[topic]
        self._wide.pop(topic, None)


def _cost(topic: str, entity: DiscoveredEntity) -> int:
    own = (entity.component, entity.object_id, entity.unique_id, entity.name, entity.unit, entity.device_class)
    texts = (topic, *own, entity.value_template, *entity.payloads, *entity.payloads.values())
    return _ENTITY_COST + sum(len(text) for text in texts if text)
