"""The topic of each message, from a template; publishes nothing."""

from __future__ import annotations

import re
from typing import Final

from ingestor.live.envelope import Subject

#: What no topic may have; `/` would be another level.
_REFUSED: Final = re.compile(r"[+#/\x00-\x1f\x7f]")
_NOTHING: Final = "-"


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
        return self._template.format_map({name: _REFUSED.sub("_", text) or _NOTHING for name, text in parts.items()})
