"""The topic of each message, from a template; publishes nothing."""

from __future__ import annotations

import re
from typing import Final

from ingestor.live.envelope import Subject
from ingestor.settings_mqtt_out import REFUSED_SIGNS

#: What no topic may have, or what brokers refuse; `/` would be another level.
_REFUSED: Final = re.compile(f"[+#/{REFUSED_SIGNS}]")
_NOTHING: Final = "-"
#: With 62 parts, the most that a template has, a topic stays below the 65,535 bytes of MQTT. Entity ids are as long.
_LONGEST_PART: Final = 255


class TopicTemplate:
    """A template such as `ha-ingestor/{home}/{domain}/{object_id}/{event}`; what a message lacks becomes `-`."""

    def __init__(self, template: str) -> None:
        self._template = template

    def topic(self, home: str, subject: Subject) -> str:
        """Return the topic of a message."""
        object_id = subject.entity_id.partition(".")[2] or subject.device or subject.event_type
        parts = {
            "home": home,
            "domain": subject.domain,
            "object_id": object_id,
            "entity_id": subject.entity_id,
            "event": subject.name,
            "event_type": subject.event_type,
            "area": subject.area,
            "device": subject.device,
        }
        return self._template.format_map({name: _part(text) for name, text in parts.items()})


def _part(text: str) -> str:
    return _REFUSED.sub("_", text[:_LONGEST_PART]) or _NOTHING
