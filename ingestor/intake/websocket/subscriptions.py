"""What a listener subscribes to, and what of it Home Assistant refused; sends nothing by itself."""

from __future__ import annotations

from typing import Any, Final

import structlog

from ingestor.homeassistant import event_types
from ingestor.settings import HomeAssistantSettings

_log: Final = structlog.get_logger(__name__)

#: What an analysis misses without the event type.
_LOST: Final = {
    "automation_triggered": "which automation caused a change",
    "script_started": "which script caused a change",
    "call_service": "service calls",
}


class Subscriptions:
    """Event types wanted of one home. What was refused once is left out from then on, over reconnects.

    None stands for every event type.
    """

    def __init__(self, settings: HomeAssistantSettings) -> None:
        expansion = event_types.expand(settings.event_types)
        if expansion.unmatched:
            _log.warning("event_types_unknown", patterns=expansion.unmatched, hint="name them exactly, or all_events")
        everything = settings.all_events or event_types.asks_for_all(settings.event_types)
        self.refused: dict[str, str] = {}
        self._wanted: list[str | None] = [None] if everything else list(expansion.names)
        self._reported: set[str] = set()

    def wanted(self) -> list[str | None]:
        """Return what to subscribe to."""
        return list(self._wanted)

    def refuse(self, name: str | None, error: dict[str, Any]) -> list[str]:
        """Leave out what was refused; return what to subscribe to instead."""
        if name in self._wanted:
            self._wanted.remove(name)
        self.refused[name or "*"] = str(error.get("code", "unknown_error"))
        if name is not None:
            return []
        instead: list[str] = [known for known in event_types.KNOWN if known in event_types.OPEN_TO_ALL]
        self._wanted += instead
        return instead

    def report(self) -> None:
        """Say once what was refused and what is lost by it."""
        fresh = sorted(self.refused.keys() - self._reported)
        if not fresh:
            return
        self._reported.update(fresh)
        _log.warning(
            "event_types_refused",
            event_types=fresh,
            reasons=sorted({self.refused[name] for name in fresh}),
            lost=[_LOST[name] for name in fresh if name in _LOST] or (list(_LOST.values()) if "*" in fresh else []),
            hint="the token of an administrator may hear them",
        )

    def forget_refusals(self) -> None:
        """Want everything again that was refused: not one subscription stood, so it was no matter of rights."""
        self._wanted = [None] if "*" in self.refused else list(self.refused)
        self.refused.clear()
