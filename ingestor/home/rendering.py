"""Asks Home Assistant what templates depend on whose text does not name it; so many, one after another, for a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ingestor import errors
from ingestor.home.graph.templates import can_be_rendered, entities_in, open_templates

Row = Mapping[str, Any]
#: Renders a template: its `result`, and its `listeners`. None where it cannot be rendered.
Render = Callable[[str], Row | None]
#: By template: `entities`, `domains` and `all` it depends on, and the entities that its `result` names.
Rendered = dict[str, dict[str, Any]]
_WITHIN_S: Final = 3.0
_MOST_ENTITIES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Rendering:
    """How templates are rendered, how many at most, and what was found before.

    What a template depends on may change with the states that it reads: what was found is added to, as long as its
    entities are there. So an object does not change with every sync.
    """

    render: Render
    most: int
    known: Mapping[str, Row] = field(default_factory=dict)
    within_s: float = _WITHIN_S


def no_rendering() -> Rendering:
    """Return what renders nothing."""
    return Rendering(lambda _: None, 0)


def render_open(configurations: Iterable[Row], entity_ids: Collection[str], how: Rendering) -> Rendered:
    """Return what open templates depend on: those first that were never rendered. Raises HomeAssistantUnavailable."""
    until = time.monotonic() + how.within_s
    texts = dict.fromkeys(text for one in configurations for text in open_templates(one) if can_be_rendered(text))
    found: Rendered = {}
    asking = True
    for number, text in enumerate(sorted(texts, key=lambda text: text in how.known)):
        answer: Row | None = None
        if asking and number < how.most and time.monotonic() < until:
            try:
                answer = how.render(text)
            except errors.CommandRefused as refusal:
                # This Home Assistant does not know the command, or this token may not use it.
                asking = refusal.reason not in ("unknown_command", "unauthorized")
        if merged := _merged(how.known.get(text), answer, entity_ids):
            found[text] = merged
    return found


def _merged(known: Row | None, answer: Row | None, entity_ids: Collection[str]) -> dict[str, Any]:
    listeners = _object((answer or {}).get("listeners"))
    before = known or {}
    if not answer and not known:
        return {}
    named = entities_in(str((answer or {}).get("result")), entity_ids.__contains__)
    return {
        "entities": _union(before.get("entities"), listeners.get("entities"), entity_ids),
        "domains": _union(before.get("domains"), listeners.get("domains"), None),
        "all": bool(before.get("all") or listeners.get("all")),
        "result": _union(before.get("result"), named, entity_ids),
    }


def _union(before: Any, now: Any, there: Collection[str] | None) -> list[str]:
    names = {*_names(before), *_names(now)}
    return sorted(name for name in names if there is None or name in there)[:_MOST_ENTITIES]


def _names(value: Any) -> Iterator[str]:
    yield from (one for one in (value if isinstance(value, list) else ()) if isinstance(one, str))


def _object(value: Any) -> Row:
    return value if isinstance(value, Mapping) else {}
