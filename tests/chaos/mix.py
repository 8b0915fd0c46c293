"""What the chaos home says: numbered events of every kind by both roads, each written into the book when it is said."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import orjson

from ingestor.demo.home import DemoHome
from ingestor.demo.mqtt_publish import eventstream_payload, statestream_messages
from ingestor.demo.wire import Context, Event, State, ulid
from tests.chaos import bad
from tests.chaos.book import UNTIMED_SERIES, Book
from tests.chaos.publisher import Message

#: Kinds of events and their shares of the rate. Twins come by both roads and must be stored once.
SHARES = {
    "plain": 560,
    "text": 30,
    "unavailable": 10,
    "two_in_a_microsecond": 10,
    "twin_eventstream": 80,
    "twin_statestream": 20,
    "eventstream": 180,
    "statestream": 20,
    "untimed": 50,
    "other": 28,
    "two_others": 2,
    "bad_websocket": 5,
    "bad_mqtt": 5,
}
EVENT_TOPIC = "chaos/events"
#: Entities go to groups by their number: what reaches whom.
GROUPS = {"twin_statestream": 6, "twin_eventstream": 7, "statestream": 8, "eventstream": 9}
_UNTIMED_DEVICES = 20


class Mix:
    """Says events. `publish` queues an MQTT message, `send_raw` queues a frame, as it is, for all listeners."""

    def __init__(
        self,
        home: DemoHome,
        seed: int,
        book: Book,
        *,
        publish: Callable[[Message], None],
        send_raw: Callable[[bytes], None],
        heard: Callable[[], bool],
    ) -> None:
        home.begin()
        self._home, self._book = home, book
        self._publish, self._send_raw, self._heard = publish, send_raw, heard
        self._chance = random.Random(seed)
        self._kinds, self._weights = list(SHARES), list(SHARES.values())
        registered = sorted(entity_id for entity_id in home.bus.states if entity_id in home.registry.entities)
        numbered = list(enumerate(registered))
        self._groups = {
            name: [one for number, one in numbered if number % 10 == digit] for name, digit in GROUPS.items()
        }
        self._plain = [one for number, one in numbered if number % 10 < 6]
        self._turn = dict.fromkeys([*self._groups, "plain"], 0)
        self._series = {one: one for one in home.bus.states}
        #: The states of entities that only MQTT tells of.
        self._apart: dict[str, State] = {}
        self._number = 0
        self._last_us = 0
        self._renames = 0
        self._roads: tuple[str, ...] = ("websocket",)
        self._write_entities()
        home.listen(self._record)

    def say(self, count: int) -> None:
        """Say so many events, more or less: some kinds are two."""
        for kind in self._chance.choices(self._kinds, self._weights, k=count):
            _SAYERS[kind](self, kind)

    def rename(self) -> None:
        """Rename an entity: its state moves, a notice follows, its series stays."""
        old = self._plain[self._chance.randrange(len(self._plain))]
        self._renames += 1
        new = f"sensor.renamed_{self._renames}"
        self._series[new] = self._series[old]
        self._plain[self._plain.index(old)] = new
        self._home.registry.update_entity(old, {}, new)

    def move(self) -> None:
        """Put an entity into another area."""
        entity_id = self._plain[self._chance.randrange(len(self._plain))]
        area = self._chance.choice(list(self._home.registry.areas.values()))
        self._book.line("moved", series=self._series[entity_id], t=time.time_ns() // 1000, area=area.name)
        self._home.registry.update_entity(entity_id, {"area_id": area.area_id})

    # -- kinds ---------------------------------------------------------------------------------------------

    def _plain_kind(self, kind: str) -> None:
        number = self._next()
        text = {"text": f"mode {number}", "unavailable": "unavailable"}.get(kind, str(number))
        self._home.bus.set_state(self._take("plain"), text)

    def _two_in_a_microsecond(self, _kind: str) -> None:
        entity_id, bus = self._take("plain"), self._home.bus
        now_us = bus.now_us()
        for _ in range(2):
            old = bus.states[entity_id]
            cause = bus.context()
            new = State(entity_id, str(self._next()), old.attributes, now_us, now_us, now_us, cause)
            bus.states[entity_id] = new
            bus.tell(Event("state_changed", now_us, cause, {}, entity_id=entity_id, old=old, new=new))

    def _twin(self, kind: str) -> None:
        road = kind.removeprefix("twin_")
        self._roads = ("websocket", road)
        event = self._home.bus.set_state(self._take(kind), str(self._next()))
        self._roads = ("websocket",)
        if event is not None:
            self._by_mqtt(road, event)

    def _mqtt_alone(self, kind: str) -> None:
        entity_id, now_us = self._take(kind), self._now_us()
        old = self._apart.get(entity_id) or self._home.bus.states[entity_id]
        cause = Context(ulid(now_us, self._chance))
        new = State(entity_id, str(self._next()), old.attributes, now_us, now_us, now_us, cause)
        self._apart[entity_id] = new
        event = Event("state_changed", now_us, cause, {}, entity_id=entity_id, old=old, new=new)
        self._book.state(event, self._series[entity_id], (kind,))
        self._by_mqtt(kind, event)

    def _by_mqtt(self, road: str, event: Event) -> None:
        if road == "eventstream":
            self._publish(Message(EVENT_TOPIC, eventstream_payload(event).encode()))
        elif event.new is not None:
            for topic, payload in statestream_messages("homeassistant", event.new):
                self._publish(Message(topic, payload.encode(), retain=True))

    def _untimed(self, _kind: str) -> None:
        number = self._next()
        device = number % _UNTIMED_DEVICES
        self._book.untimed(number, UNTIMED_SERIES % device)
        payload = orjson.dumps({"reading": number})
        self._publish(Message(f"zigbee2mqtt/chaos_{device}", payload, number=number))

    def _other(self, _kind: str) -> None:
        number = self._next()
        if number % 2:
            self._home.bus.fire("tag_scanned", {"tag_id": f"tag {number}", "device_id": None, "at": "door"})
            return
        data = {"domain": "light", "service": "turn_on", "service_data": {"transition": number}}
        self._home.bus.fire("call_service", data)

    def _two_others(self, _kind: str) -> None:
        now_us = self._home.bus.now_us()
        for _ in range(2):
            data = {"tag_id": f"tag {self._next()}", "device_id": None}
            self._home.bus.tell(Event("tag_scanned", now_us, self._home.bus.context(), data))

    def _bad(self, kind: str) -> None:
        number, road = self._next(), kind.removeprefix("bad_")
        makers = bad.BY_WEBSOCKET if road == "websocket" else bad.BY_MQTT
        now_us = self._now_us()
        how, frame = bad.make(makers, number, now_us)
        self._book.bad(number, how, road, now_us)
        if road == "websocket":
            self._send_raw(frame)
        else:
            self._publish(Message(EVENT_TOPIC, frame))

    # -- help ----------------------------------------------------------------------------------------------

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _take(self, group: str) -> str:
        entities = self._plain if group == "plain" else self._groups[group]
        self._turn[group] += 1
        return entities[self._turn[group] % len(entities)]

    def _now_us(self) -> int:
        self._last_us = max(self._last_us + 1, time.time_ns() // 1000)
        return self._last_us

    def _record(self, event: Event) -> None:
        """Write what goes on the home's bus: all of it goes by WebSocket."""
        if event.event_type == "state_changed":
            self._book.state(event, self._series[event.entity_id], self._roads, heard=self._heard())
        else:
            self._book.other(event, _about(event.event_type, event.data), heard=self._heard())

    def _write_entities(self) -> None:
        registry = self._home.registry
        for entity_id, entity in registry.entities.items():
            area, device = registry.area_of(entity_id), registry.devices.get(entity.device_id or "")
            self._book.line(
                "entity",
                series=entity_id,
                area=registry.areas[area].name if area else "-",
                device=device.name if device else "-",
                device_class=entity.device_class or "-",
                integration=entity.platform,
            )


def _about(event_type: str, data: dict[str, Any]) -> str:
    if event_type == "call_service":
        return f"{data['domain']}.{data['service']}"
    return str(data.get("entity_id") or "-")


_SAYERS: dict[str, Callable[[Mix, str], None]] = {
    "plain": Mix._plain_kind,
    "text": Mix._plain_kind,
    "unavailable": Mix._plain_kind,
    "two_in_a_microsecond": Mix._two_in_a_microsecond,
    "twin_eventstream": Mix._twin,
    "twin_statestream": Mix._twin,
    "eventstream": Mix._mqtt_alone,
    "statestream": Mix._mqtt_alone,
    "untimed": Mix._untimed,
    "other": Mix._other,
    "two_others": Mix._two_others,
    "bad_websocket": Mix._bad,
    "bad_mqtt": Mix._bad,
}
