"""Joins the topics of mqtt_statestream back into one payload for each event; no I/O, and the caller brings the clock.

One event comes as `state`, `last_updated`, `last_changed`, then its attributes, a message each, with nothing that
says which belong together; messages of several events of one entity may be mixed. What is true is that each event's
n-th message comes before the n-th message of the entity's next event: so the first in is served first (rule 10).
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from ingestor import errors
from ingestor.events import decoding

Delivery = tuple[int, int]

_TIMES: Final = ("last_updated", "last_changed")
#: An event that has all its topics waits so long for one that nobody knew of: it comes right behind the others.
_SETTLE_S: Final = 0.01
#: So many quiet times an event waits for its time, where the stream has times: on a busy machine Home Assistant
#: publishes slowly. Closed too early, its time would fall to the entity's next event, and so on to the burst's end.
_QUIETS_FOR_TIME: Final = 4
_CLOCK_MARGIN_S: Final = 0.05
_MAX_OPEN: Final = 20_000
#: Their payloads together; beyond it the oldest are closed as they are.
MAX_OPEN_BYTES: Final = 32 * 1024 * 1024
_MAX_TOPICS: Final = 500_000
#: A longer topic is not remembered (MQTT allows 65,535 bytes), and is none of statestream's: Home Assistant's names
#: of entities and attributes are far shorter.
MAX_KNOWN_TOPIC: Final = 1000
#: Shapes kept for an entity: an entity with more words for its state than this is one of free text.
_MAX_SHAPES: Final = 12
#: After so many events in a row without a topic it is expected no longer.
_FORGET_AFTER: Final = 5
_NUMBER_STARTS: Final = b"+-.0123456789"


class Joined(NamedTuple):
    """A whole event. `received_ns` is the receipt of its last message; `topic` the one of its state."""

    payload: bytes
    received_ns: int
    topic: str
    deliveries: tuple[Delivery, ...]
    uncertain: bool


@dataclass(slots=True)
class _Shape:
    """Which topics an event had, the last time that its entity was in such a state."""

    topics: set[str]
    missing: int = 0


@dataclass(slots=True, eq=False)
class _Open:
    """An event whose messages are coming in."""

    entity: _Entity
    state: bytes
    touched_s: float
    received_ns: int
    deliveries: list[Delivery]
    parts: dict[str, bytes] = field(default_factory=dict)
    uncertain: bool = False
    bytes: int = 0
    complete_s: float = 0.0
    began_s: float = 0.0
    began_ns: int = 0


@dataclass(slots=True, eq=False)
class _Entity:
    """An entity: its open events, oldest first, and what its events looked like."""

    entity_id: str
    topic: str
    open: list[_Open] = field(default_factory=list)
    shapes: dict[bytes, _Shape] = field(default_factory=dict)
    seed: set[str] = field(default_factory=set)
    last_key: bytes = b""


class StatestreamJoin:
    """Joins what comes on one connection.

    `orphans` counts messages that belong to no open event (an attribute that nobody knew of, after its event was
    complete); they are not kept.
    """

    def __init__(self, base: str, quiet_s: float) -> None:
        self._skip = len(base) + 1
        self._quiet_s = quiet_s
        self._topics: dict[str, tuple[_Entity, str] | None] = {}
        self._entities: dict[str, _Entity] = {}
        self._open: OrderedDict[_Open, None] = OrderedDict()
        self._complete: deque[tuple[float, _Open]] = deque()
        #: Bytes of the payloads in `_open`.
        self.bytes = 0
        self._has_times = False
        self._clock_ahead_s = -math.inf
        self.orphans = 0

    def take(
        self, topic: str, payload: bytes, received_ns: int, now_s: float, delivery: Delivery | None
    ) -> tuple[bool, Joined | None]:
        """Take in a message of the base topic.

        Returns whether it was kept (else it may be acknowledged at once), and an event that there is no room for.
        """
        found = self._topics[topic] if topic in self._topics else self._learn_topic(topic)
        if found is None:
            self.orphans += 1
            return False, None
        entity, leaf = found
        if leaf == "state":
            deliveries = [] if delivery is None else [delivery]
            one = _Open(entity, payload, now_s, received_ns, deliveries, began_s=now_s, began_ns=received_ns)
            entity.open.append(one)
            self._open[one] = None
            self._grow(one, topic, payload)
            oldest = self._close(next(iter(self._open))) if len(self._open) > _MAX_OPEN else None
            return True, oldest
        self._has_times = self._has_times or leaf in _TIMES
        waiting = self._waiting_for(entity, leaf, payload)
        if waiting is None:
            self._note_orphan(entity, leaf)
            return False, None
        waiting.parts[leaf] = payload
        self._grow(waiting, topic, payload)
        waiting.touched_s, waiting.received_ns = now_s, received_ns
        if delivery is not None:
            waiting.deliveries.append(delivery)
        self._open.move_to_end(waiting)
        if self._is_complete(waiting):
            waiting.complete_s = now_s
            self._complete.append((now_s, waiting))
        return True, None

    def seed(self, topic: str) -> None:
        """Learn from a retained replay that there is such a topic."""
        found = self._topics[topic] if topic in self._topics else self._learn_topic(topic)
        if found is not None and found[1] != "state":
            self._has_times = self._has_times or found[1] in _TIMES
            found[0].seed.add(found[1])

    def expire(self, now_s: float) -> list[Joined]:
        """Return the events that are complete, and those that have been quiet for long enough."""
        closed: list[Joined] = []
        while self.bytes > MAX_OPEN_BYTES:
            closed.append(self._close(next(iter(self._open))))
        while self._complete and now_s - self._complete[0][0] >= _SETTLE_S:
            complete_s, one = self._complete.popleft()
            if one in self._open and one.complete_s == complete_s:
                self._learn_more(one)
                closed.append(self._close(one))
        while self._open:
            oldest = next(iter(self._open))
            if now_s - oldest.touched_s < self._quiet_s:
                break
            if self._waits_for_its_time(oldest, now_s):
                oldest.touched_s = now_s
                self._open.move_to_end(oldest)
                continue
            self._learn_shape(oldest)
            closed.append(self._close(oldest))
        return closed

    def next_deadline_s(self) -> float | None:
        """Return when `expire` will have something to return at the earliest."""
        if self.bytes > MAX_OPEN_BYTES:
            return -math.inf
        quiet_s = next(iter(self._open)).touched_s + self._quiet_s if self._open else None
        settled_s = self._complete[0][0] + _SETTLE_S if self._complete else None
        return min((at for at in (quiet_s, settled_s) if at is not None), default=None)

    def flush(self) -> list[Joined]:
        """Return all that is open, complete or not."""
        return [self._close(one) for one in list(self._open)]

    def touch(self, now_s: float) -> None:
        """Let all that is open wait anew: there was no connection by which the rest could come."""
        for one in self._open:
            one.touched_s = one.began_s = now_s

    def __len__(self) -> int:
        return len(self._open)

    # -- inside ------------------------------------------------------------------------------------------

    def _learn_topic(self, topic: str) -> tuple[_Entity, str] | None:
        parts = topic[self._skip :].split("/", 2)
        if len(self._topics) >= _MAX_TOPICS:
            self._topics.clear()
            self._entities = {name: entity for name, entity in self._entities.items() if entity.open}
        if len(topic) > MAX_KNOWN_TOPIC:
            return None
        if len(parts) < 3 or not all(parts) or "." in parts[0] or "." in parts[1]:  # noqa: PLR2004 - domain, object, leaf
            self._topics[topic] = None
            return None
        entity_id = f"{parts[0]}.{parts[1]}"
        entity = self._entities.get(entity_id)
        if entity is None:
            state_topic = f"{topic[: self._skip]}{parts[0]}/{parts[1]}/state"
            entity = self._entities[entity_id] = _Entity(entity_id, state_topic)
        self._topics[topic] = found = (entity, parts[2])
        return found

    def _waiting_for(self, entity: _Entity, leaf: str, payload: bytes) -> _Open | None:
        """Return the oldest open event without such a message, rather one that is known to have such an attribute.

        Where a younger one could be meant as well, it is marked.
        """
        lacking = [one for one in entity.open if leaf not in one.parts]
        if leaf == "last_updated":
            return self._waiting_for_time(lacking, payload)
        # All else of an event comes after that.
        lacking = [one for one in lacking if "last_updated" in one.parts] or lacking
        if len(lacking) <= 1 or leaf in _TIMES:
            return lacking[0] if lacking else None
        expecting = next((one for one in lacking if _expects(one, leaf)), lacking[0])
        expecting.uncertain = True
        return expecting

    def _waiting_for_time(self, lacking: list[_Open], payload: bytes) -> _Open | None:
        """Return the oldest of these whose state had not been received long before this time was.

        How far Home Assistant's clock is ahead is learned where nothing but one event can be meant.
        """
        updated_s = _unix_s(payload)
        if not lacking or updated_s is None:
            return lacking[0] if lacking else None
        if len(lacking) == 1:
            self._clock_ahead_s = max(self._clock_ahead_s, updated_s - lacking[0].began_ns / 1e9)
            return lacking[0]
        latest_s = self._clock_ahead_s + _CLOCK_MARGIN_S
        return next((one for one in lacking if updated_s - one.began_ns / 1e9 <= latest_s), lacking[0])

    def _waits_for_its_time(self, one: _Open, now_s: float) -> bool:
        patience_s = self._quiet_s * _QUIETS_FOR_TIME
        return self._has_times and _TIMES[0] not in one.parts and now_s - one.began_s < patience_s

    def _is_complete(self, one: _Open) -> bool:
        shape = one.entity.shapes.get(_key(one.state))
        expected = one.entity.seed if shape is None else shape.topics
        return bool(expected) and len(one.parts) >= len(expected) and expected <= one.parts.keys()

    def _learn_shape(self, one: _Open) -> None:
        """Note of an event that went quiet which topics it had."""
        key, shapes = _key(one.state), one.entity.shapes
        shape = shapes.get(key)
        if shape is None:
            if len(shapes) < _MAX_SHAPES:
                shapes[key] = _Shape(set(one.parts))
            return
        shape.missing += 1
        shape.topics |= one.parts.keys()
        if shape.missing >= _FORGET_AFTER:
            shapes[key] = _Shape(set(one.parts))

    def _learn_more(self, one: _Open) -> None:
        """Note the topics of a complete event that nobody had known of."""
        shape = one.entity.shapes.get(_key(one.state))
        known = one.entity.seed if shape is None else shape.topics
        known.update(one.parts)

    def _note_orphan(self, entity: _Entity, leaf: str) -> None:
        self.orphans += 1
        shape = entity.shapes.get(entity.last_key)
        if shape is not None:
            shape.topics.add(leaf)
        elif entity.seed:
            entity.seed.add(leaf)

    def _grow(self, one: _Open, topic: str, payload: bytes) -> None:
        one.bytes += len(topic) + len(payload)
        self.bytes += len(topic) + len(payload)

    def _close(self, one: _Open) -> Joined:
        entity = one.entity
        self._open.pop(one, None)
        self.bytes -= one.bytes
        entity.open.remove(one)
        entity.last_key = _key(one.state)
        return Joined(_payload(one), one.received_ns, entity.topic, tuple(one.deliveries), one.uncertain)


def _expects(one: _Open, leaf: str) -> bool:
    shape = one.entity.shapes.get(_key(one.state))
    return shape is None or leaf in shape.topics


def _key(state: bytes) -> bytes:
    """Return what kind of state it is: the word, or a number."""
    return b"0" if state[:1] in _NUMBER_STARTS else state[:64]


def _payload(one: _Open) -> bytes:
    """Return the JSON of an event; attribute values as they came, if they are JSON."""
    parts = one.parts
    head: dict[str, Any] = {"entity_id": one.entity.entity_id, "state": _text(one.state)}
    for name in _TIMES:
        if name in parts:
            head[name] = _text(parts[name])
    attributes = [
        orjson.dumps(_printable(leaf)) + b":" + _json(raw) for leaf, raw in parts.items() if leaf not in _TIMES
    ]
    return orjson.dumps(head)[:-1] + b',"attributes":{' + b",".join(attributes) + b"}}"


def _unix_s(raw: bytes) -> float | None:
    try:
        return datetime.fromisoformat(raw.decode()).timestamp()
    except ValueError:
        return None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _printable(leaf: str) -> str:
    return leaf.encode("utf-8", "replace").decode()


def _json(raw: bytes) -> bytes:
    """Return an attribute as it came; as a text where it is no JSON, so that it cannot break out of its place."""
    try:
        decoding.loads(raw)
    except errors.UndecodableFrame:
        return orjson.dumps(_text(raw))
    return raw
