"""Events that nobody can use, one maker for each kind: each carries its number, and must end in the quarantine."""

from __future__ import annotations

from collections.abc import Callable

from ingestor.demo.wire import iso
from tests.chaos.book import BAD_MARK

_CONTEXT = b'{"id":"01BAD","parent_id":null,"user_id":null}'


def _event(event_type: bytes, data: bytes, time_fired: bytes) -> bytes:
    inner = b'"event_type":%b,"data":%b,"origin":"LOCAL","time_fired":"%b","context":%b'
    return b'{"type":"event","event":{%b},"id":2}' % (inner % (event_type, data, time_fired, _CONTEXT))


def _changed(state: bytes, updated: bytes, now: bytes) -> bytes:
    new = b'{"entity_id":"sensor.bad","state":"%b","attributes":{},"last_changed":"%b","last_updated":"%b"}'
    data = b'{"entity_id":"sensor.bad","old_state":null,"new_state":%b}' % (new % (state, now, updated))
    return _event(b'"state_changed"', data, now)


#: Frames of their own by WebSocket: kind → bytes of (mark, time now).
BY_WEBSOCKET: dict[str, Callable[[bytes, bytes], bytes]] = {
    "not_json": lambda mark, _now: b'{"type":"event","event":{"event_type":"%b"' % mark,
    "cut_list": lambda mark, now: b"[" + _event(b'"x"', b'"%b"' % mark, now)[:-60],
    "no_event_type": lambda mark, now: _event(b"7", b'{"a":"%b"}' % mark, now),
    "no_data": lambda mark, now: _event(b'"tag_scanned"', b'"%b"' % mark, now),
    "bad_time": lambda mark, now: _changed(mark, b"yesterday", now),
    "time_out_of_range": lambda mark, now: _changed(mark, b"2400-01-01T00:00:00+00:00", now),
    "state_too_long": lambda mark, now: _changed(mark + b"x" * 20_000, now, now),
    "field_too_long": lambda mark, now: _event(b'"tag_scanned"', b'{"tag_id":"%b%b"}' % (mark, b"y" * 70_000), now),
    "bad_entity_id": lambda mark, now: _changed(mark, now, now).replace(b"sensor.bad", b"no dot"),
    "unknown_message": lambda mark, _now: b'{"type":"from_the_future","id":1,"payload":"%b"}' % mark,
    "not_utf8": lambda mark, now: _event(b'"\xff\xfe"', b'{"a":"%b"}' % mark, now),
}
#: Payloads on mqtt_eventstream's topic.
BY_MQTT: dict[str, Callable[[bytes, bytes], bytes]] = {
    "not_json": lambda mark, _now: b"{" + mark,
    "wrong_shape": lambda mark, _now: b'{"event_type": 7, "event_data": "%b"}' % mark,
    "not_utf8": lambda mark, _now: b'{"event_type": "\xff", "event_data": {"a": "%b"}}' % mark,
    "text": lambda mark, _now: b'"%b"' % mark,
}


def make(makers: dict[str, Callable[[bytes, bytes], bytes]], number: int, now_us: int) -> tuple[str, bytes]:
    """Return the kind and the bytes of bad event `number`; the kinds take turns."""
    how = list(makers)[number % len(makers)]
    return how, makers[how]((BAD_MARK % number).encode(), iso(now_us).encode())
