"""How what is handed on does, in a sentence: webhooks and MQTT out; the same for `status` and `doctor`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ingestor.webhooks.model import Counted, Hook
from ingestor.wording import number_of

#: MQTT out tells how it is every few seconds; who told nothing for so long is gone (s).
_SILENT_S: Final = 60.0
_US: Final = 1e6


@dataclass(frozen=True, slots=True)
class LineState:
    """How MQTT out is; `heard`: somebody runs it. `refused`: so many messages its broker does not take."""

    connected: bool
    heard: bool
    says: str
    refused: int = 0


def hooks_object(found: Sequence[tuple[Hook, Counted]]) -> dict[str, int]:
    """Return how many webhooks there are, how many of them are not well, and what lies there for all."""
    return {
        "registered": len(found),
        "disabled": sum(not hook.enabled for hook, _ in found),
        "failing": sum(hook.enabled and hook.failures > 0 for hook, _ in found),
        "waiting": sum(counted.waiting for _, counted in found),
        "dead": sum(counted.dead for _, counted in found),
    }


def hooks_sentence(found: Sequence[tuple[Hook, Counted]]) -> str:
    """Return the same in words."""
    if not found:
        return "none registered"
    told = hooks_object(found)
    words = [f"{told['registered']:,} registered"]
    words += [f"{told[name]:,} {name}" for name in ("failing", "disabled") if told[name]]
    words += [f"{told[name]:,} {said}" for name, said in (("waiting", "waiting"), ("dead", "given up")) if told[name]]
    return " · ".join(words)


def line_state(told: Mapping[str, Any] | None) -> LineState:
    """Return how MQTT out is by what it tells of itself on the board of topics."""
    if told is None:
        return LineState(connected=False, heard=False, says="nothing publishes")
    silent_s = time.time() - int(told.get("told_us", 0)) / _US
    if silent_s > _SILENT_S:
        return LineState(connected=False, heard=False, says=f"nothing was heard of it for {silent_s:,.0f} s")
    refused = int(told.get("refused", 0))
    passed = f"; {refused:,} passed over, the last: {told.get('last_refused')}" if refused else ""
    if told.get("connected"):
        published = sum(int(number) for number in told.get("by_event", {}).values())
        says = f"connected; {number_of(published, 'message')} published{passed}"
        return LineState(connected=True, heard=True, says=says, refused=refused)
    says = f"not connected: {told.get('last_error') or 'it starts'}{passed}"
    return LineState(connected=False, heard=True, says=says, refused=refused)
