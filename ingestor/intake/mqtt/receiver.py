"""From MQTT messages to frames in the sink: joins, recognises what was there before, says what may be acknowledged."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import orjson
import structlog

from ingestor import errors
from ingestor.events.frame import Frame, FrameKind
from ingestor.events.mqtt_models import OVERSIZE_MARK, DiscoveredEntity
from ingestor.events.redact import redact
from ingestor.intake.mqtt.connection import Message
from ingestor.intake.mqtt.deliveries import Deliveries, Delivery, delivery_of
from ingestor.intake.mqtt.discovery import Discovery, EntityOf, frame_payload, raw_part
from ingestor.intake.mqtt.routes import Route, Routes
from ingestor.intake.mqtt.seen import SeenTopics
from ingestor.intake.mqtt.statestream import MAX_KNOWN_TOPIC, Joined, StatestreamJoin
from ingestor.intake.mqtt.zigbee import ZigbeeDevices
from ingestor.settings import MqttSettings

_log: Final = structlog.get_logger(__name__)
_MAX_ROUTES: Final = 200_000
#: More than the broker has thrown away in its life; Python refuses to read thousands of digits.
_MAX_DIGITS: Final = 18


class Sink(Protocol):
    """Where frames go."""

    def add(self, frame: Frame, on_journaled: Callable[[], None] | None = None) -> None:
        """Take a frame without waiting for long; raise JournalFull at the limit."""
        ...


@dataclass(slots=True)
class Counts:
    """Messages since the start, and what became of them."""

    messages: int = 0
    bytes: int = 0
    frames: int = 0
    retained: int = 0
    redelivered: int = 0
    ignored: int = 0
    oversize: int = 0
    failed: int = 0
    broker_dropped: int = 0


class Receiver:
    """Takes in messages, in the network's thread. What the sink has no room for is held: then stop reading."""

    def __init__(
        self,
        settings: MqttSettings,
        sink: Sink,
        deliveries: Deliveries,
        websocket_up: Callable[[], bool],
        entity_of: EntityOf | None = None,
        *,
        own_topics: Iterable[str] = (),
    ) -> None:
        self._settings = settings
        self._sink = sink
        self._deliveries = deliveries
        self._websocket_up = websocket_up
        self.routes = Routes(settings, own_topics)
        self.seen = SeenTopics()
        self._by_topic: dict[str, Route] = {}
        self.join = StatestreamJoin(settings.statestream_base or "", settings.statestream_quiet_s)
        self.discovery = Discovery(settings.discovery_prefix, entity_of) if settings.discovery_prefix else None
        self.devices = ZigbeeDevices(settings.zigbee2mqtt_base or "")
        self.discovery_changed = False
        self.counts = Counts()
        self.held: deque[Frame] = deque()
        self.acknowledge: list[int] = []
        self._dropped_before: int | None = None

    def take(self, message: Message, received_ns: int, now_s: float) -> None:
        """Take in a message; what it holds is never a reason to stop."""
        counts, payload = self.counts, message.payload
        counts.messages += 1
        counts.bytes += len(payload)
        topic = message.topic
        delivery = delivery_of(message.packet_id, topic, payload) if message.qos else None
        if delivery is not None and self._was_here(delivery, again=message.dup):
            return
        if delivery is not None:
            self._deliveries.take(delivery)
        try:
            kept = self._take_in(message, topic, received_ns, now_s, delivery)
        except Exception as error:  # noqa: BLE001 - a message that we stumble over must not stop those behind it
            counts.failed += 1
            _log.exception("message_failed", topic=topic, error=str(error))
            self._offer(self._frame("topic", payload, topic, received_ns, delivery))
            return
        if not kept and delivery is not None:
            self._deliveries.give_back(delivery)
            self.acknowledge.append(delivery[0])

    def expire(self, now_s: float) -> None:
        """Hand on the joined events that are complete by now."""
        for joined in self.join.expire(now_s):
            self._offer_joined(joined)

    def flush(self) -> None:
        """Hand on all joined events, complete or not."""
        for joined in self.join.flush():
            self._offer_joined(joined)

    def drain(self) -> bool:
        """Try again to hand on what is held; return whether nothing is left."""
        while self.held:
            try:
                self._put(self.held[0])
            except errors.JournalFull:
                return False
            self.held.popleft()
        return True

    def change_connection(self, now_s: float) -> None:
        """Go on with what came by the connection before: the rest of an event that is open comes by this one.

        What is held is not left to the broker, though it should send it again: one that was killed may not.
        """
        self.acknowledge.clear()
        self.join.touch(now_s)

    # -- inside ------------------------------------------------------------------------------------------

    def _was_here(self, delivery: Delivery, *, again: bool) -> bool:
        if self._deliveries.is_known(delivery, again=again):
            self.acknowledge.append(delivery[0])
        elif not (again and self._deliveries.is_under_way(delivery)):
            return False
        self.counts.redelivered += 1
        return True

    def _take_in(self, message: Message, topic: str, received_ns: int, now_s: float, delivery: Delivery | None) -> bool:
        """Return whether the message was kept: its acknowledgement then waits for the journal."""
        payload = message.payload
        route = self._by_topic.get(topic) or self._find_route(topic)
        self.seen.note(topic, route.kind, received_ns)
        too_large = len(payload) > self._settings.max_payload_bytes and route.kind != "own"
        if too_large and not message.retain:
            self._offer(self._oversize(route, payload, topic, received_ns, delivery))
            return True
        if too_large:
            self.counts.oversize += 1
            return False
        if self._is_no_event(route, topic, payload):
            return False
        if message.retain:
            self._note_replay(route, topic, payload)
            return False
        if route.kind == "statestream":
            kept, joined = self.join.take(topic, payload, received_ns, now_s, delivery)
            if joined is not None:
                self._offer_joined(joined)
            return kept
        return self._take_whole(route, payload, topic, received_ns, delivery)

    def _is_no_event(self, route: Route, topic: str, payload: bytes) -> bool:
        """Tell whether a message is of our own making, or a config, which is learnt."""
        if route.kind == "own":
            self.counts.ignored += 1
            return True
        return self.discovery is not None and topic.endswith("/config") and self._learn_config(topic, payload)

    def _take_whole(
        self, route: Route, payload: bytes, topic: str, received_ns: int, delivery: Delivery | None
    ) -> bool:
        """Make frames of a message that stands alone."""
        # What is understood by itself is not taken away by an entity that announces half the broker.
        also_wide = route.kind == "ignored"
        announced = [] if self.discovery is None else self.discovery.entities_at(topic, also_wide=also_wide)
        if route.kind == "dropped":
            self._note_dropped(payload)
        elif route.kind == "devices":
            self.devices.learn(payload)
        elif route.kind == "topic":
            self._offer(self._frame("topic", _mapped(route, payload), topic, received_ns, delivery))
            return True
        elif announced:
            self._offer_discovered(announced, payload, topic, received_ns, delivery)
            return True
        elif route.kind == "ignored" or route.kind == "own":  # noqa: PLR1714 -- mypy takes them apart only so
            self.counts.ignored += 1
        else:
            shadowed = route.kind == "eventstream" and self._websocket_up()
            content = self.devices.with_device(topic, payload) if route.kind == "zigbee2mqtt" else payload
            self._offer(self._frame(route.kind, content, topic, received_ns, delivery, shadowed=shadowed))
            return True
        return False

    def _find_route(self, topic: str) -> Route:
        if len(self._by_topic) >= _MAX_ROUTES:
            self._by_topic.clear()
        route = self.routes.of(topic)
        if len(topic) <= MAX_KNOWN_TOPIC:
            self._by_topic[topic] = route
        return route

    def _learn_config(self, topic: str, payload: bytes) -> bool:
        if self.discovery is None or not self.discovery.is_config_topic(topic):
            return False
        learned = self.discovery.learn(topic, payload)
        self.discovery_changed |= learned
        return learned

    def _note_replay(self, route: Route, topic: str, payload: bytes) -> None:
        """Note what a retained message tells: not news, but what is there (rule: never written as new)."""
        self.counts.retained += 1
        if route.kind == "statestream":
            self.join.seed(topic)
        elif route.kind == "devices":
            self.devices.learn(payload)
        elif route.kind == "dropped":
            self._note_dropped(payload)

    def _note_dropped(self, payload: bytes) -> None:
        """Count what the broker threw away since we first heard of it, for any client."""
        if not payload.isdigit() or len(payload) > _MAX_DIGITS:
            return
        total = int(payload)
        before, self._dropped_before = self._dropped_before, total
        if before is not None and total > before:
            self.counts.broker_dropped += total - before
            _log.warning("broker_dropped_messages", messages=total - before)

    def _offer_joined(self, joined: Joined) -> None:
        frame = Frame(
            "statestream",
            joined.received_ns,
            redact(joined.payload),
            joined.topic,
            self._websocket_up(),
            joined.deliveries,
            joined.uncertain,
        )
        self._offer(frame)

    def _offer_discovered(
        self, entities: list[DiscoveredEntity], payload: bytes, topic: str, received_ns: int, delivery: Delivery | None
    ) -> None:
        """Offer a frame for the entities that Home Assistant has too, and one for the others.

        The first are heard by WebSocket as well, with their time (rule 11). The acknowledgement waits for the last.
        """
        matched = [entity for entity in entities if entity.entity_id]
        others = [entity for entity in entities if not entity.entity_id]
        groups = [group for group in (matched, others) if group]
        for group in groups:
            is_last = group is groups[-1]
            content = frame_payload(payload, group)
            shadowed = group is matched and self._websocket_up()
            due = delivery if is_last else None
            self._offer(self._frame("discovery", content, topic, received_ns, due, shadowed=shadowed))

    def _frame(
        self,
        kind: FrameKind,
        payload: bytes,
        topic: str,
        received_ns: int,
        delivery: Delivery | None,
        *,
        shadowed: bool = False,
    ) -> Frame:
        deliveries = () if delivery is None else (delivery,)
        return Frame(kind, received_ns, redact(payload), topic, shadowed, deliveries)

    def _oversize(self, route: Route, payload: bytes, topic: str, received_ns: int, delivery: Delivery | None) -> Frame:
        self.counts.oversize += 1
        kind: Any = "topic" if route.kind in ("ignored", "devices", "dropped") else route.kind
        what = {"bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
        return self._frame(kind, OVERSIZE_MARK + orjson.dumps(what), topic, received_ns, delivery)

    def _offer(self, frame: Frame) -> None:
        """Hand a frame on, or hold it where there is no room; what is held stays in order."""
        if not self.held:
            try:
                self._put(frame)
            except errors.JournalFull as error:
                _log.warning("journal_full", hint="the broker keeps what is not read", error=str(error))
            else:
                return
        self.held.append(frame)

    def _put(self, frame: Frame) -> None:
        tickets = self._deliveries.hand_over(frame.deliveries) if frame.deliveries else []
        try:
            self._sink.add(frame, partial(self._deliveries.journaled, tickets) if tickets else None)
        except errors.JournalFull:
            self._deliveries.take_back(tickets)
            raise
        self.counts.frames += 1


def _mapped(route: Route, payload: bytes) -> bytes:
    """Return what a frame of kind "topic" holds."""
    mapping = route.mapping
    content: dict[str, Any] = {"entity_id": route.entity_id, **raw_part(payload)}
    if mapping is not None:
        known = {"value_path": mapping.value_path, "unit": mapping.unit, "device_class": mapping.device_class}
        content |= {name: value for name, value in known.items() if value is not None}
    return orjson.dumps(content)
