"""What a rule would have done to the stored past: counts and examples; reads in bounded pages, writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ingestor import errors
from ingestor.events import decoding
from ingestor.events.event import Event
from ingestor.events.point import StoredEvent
from ingestor.events.values import is_available, number_of
from ingestor.quality.gate import is_numeric
from ingestor.quality.rule import RAW_UNIT, About, Finding, Limits
from ingestor.quality.user_rules import UserRule
from ingestor.storage.port import EventQuery, Store

#: Events in memory at once.
_PAGE: Final = 5_000
_MOST_EXAMPLES: Final = 10
#: Entities that are counted by name; all further ones count together.
_MOST_ENTITIES: Final = 10_000
OTHERS: Final = "others"
#: What these look at is not in the store: order of receipt, bytes, forms of time.
NOT_STORED: Final = frozenset({"unexpected_shape", "half_characters", "time_without_zone", "out_of_order"})


@dataclass(frozen=True, slots=True)
class Example:
    """A stored event that the rule speaks of, and what it has against it."""

    time_ns: int
    entity_id: str
    state: str | None
    unit: str | None
    detail: str
    becomes: str


@dataclass(slots=True)
class Tried:
    """What came out: events that were looked at, and those that the rule speaks of."""

    looked: int = 0
    hits: int = 0
    with_attributes: int = 0
    by_entity: Counter[str] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)
    reached_ns: int = 0

    @property
    def share(self) -> float:
        """The share of events that the rule speaks of, 0 to 1."""
        return self.hits / self.looked if self.looked else 0.0

    def note(self, example: Example) -> None:
        """Take in what the rule speaks of."""
        self.hits += 1
        name = example.entity_id
        self.by_entity[name if name in self.by_entity or len(self.by_entity) < _MOST_ENTITIES else OTHERS] += 1
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(example)


def try_rule(
    one: UserRule, store: Store, query: EventQuery, limits: Limits, progress: Callable[[Tried], None]
) -> Tried:
    """Ask a rule about the stored states of a query, newest first; `progress` is told after each page.

    Raises Rejected("not_stored") for a rule that looks at what no store has.
    """
    if one.rule.name in NOT_STORED or one.rule.test is None:
        raise errors.Rejected("not_stored", f"what {one.rule.name} looks at is not in the store: it cannot be tried")
    tried = Tried()
    for page in pages(store, query):
        for stored in page:
            event = as_event(stored)
            tried.looked += 1
            tried.with_attributes += event.attributes is not None
            if one.is_for(event.subject, event.device_class):
                _ask(one, event, stored.time_ns, limits, tried)
        tried.reached_ns = page[-1].time_ns
        progress(tried)
    return tried


def _ask(one: UserRule, event: Event, time_ns: int, limits: Limits, tried: Tried) -> None:
    test = one.rule.test
    finding = test(event, About(limits, is_numeric(event))) if test else None
    if finding is not None:
        becomes = _becomes(one, finding, event)
        tried.note(Example(time_ns, event.subject, event.state, event.unit, finding.detail, becomes))


def _becomes(one: UserRule, finding: Finding, event: Event) -> str:
    severity, repair = one.rule.severity, finding.repair
    if severity == "repair" and repair is not None:
        if repair.without:
            return f"without {', '.join(repair.without)}"
        return "no value" if repair.value is None else f"{repair.value:g} {repair.unit or ''}".strip()
    if severity == "filter":
        return f"without {', '.join(repair.without)}" if repair is not None else "left out"
    return {"reject": "to quarantine", "note": "as it is"}.get(severity, str(event.value))


def pages(store: Store, query: EventQuery) -> Iterator[list[StoredEvent]]:
    """Yield what a query asks for, newest first, a page at a time; at most `query.limit` events."""
    left, until_ns = query.limit, query.until_ns
    seen: set[tuple[str, int]] = set()
    while left > 0:
        asked = min(_PAGE, left) + len(seen)
        found = list(store.read(replace(query, until_ns=until_ns, limit=asked)))
        fresh = [one for one in found if (one.series, one.time_ns) not in seen]
        if fresh:
            yield fresh
        left -= len(fresh)
        if len(found) < asked or not fresh:
            return
        # The last time once more: others of it may stand on the next page.
        last_ns = fresh[-1].time_ns
        seen = {(one.series, one.time_ns) for one in found if one.time_ns == last_ns}
        until_ns = last_ns + 1


def as_event(stored: StoredEvent) -> Event:
    """Return a stored state as the event that it was when it came: before any repair."""
    fields, tags = stored.fields, stored.tags
    state = _text(fields.get("state"))
    device_class = tags.get("device_class")
    return Event(
        slot=0,
        kind="state",
        event_type="state_changed",
        subject=_text(fields.get("entity_id")) or stored.series,
        entity_id=_text(fields.get("entity_id")),
        time_us=stored.time_ns // 1000,
        received_ns=stored.time_ns,
        source=_text(fields.get("source")) or "",
        identity=0,
        state=state,
        value=number_of(state),
        available=is_available(state),
        previous_state=_text(fields.get("previous_state")),
        unit=_text(fields.get(RAW_UNIT)) or _text(fields.get("unit")),
        device_class=None if device_class in (None, "-", "") else device_class,
        attributes=_attributes(fields),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _attributes(fields: dict[str, Any]) -> dict[str, Any] | None:
    text = fields.get("attributes")
    try:
        found = decoding.loads(text.encode()) if isinstance(text, str) else None
    except errors.UndecodableFrame:
        return None
    return found if isinstance(found, dict) else None
