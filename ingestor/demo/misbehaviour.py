"""How the demo server can misbehave when it is asked to: what it then sends or refuses; does nothing by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Frames that are no messages of Home Assistant, by name. `truncated` is the beginning of a true one.
RUBBISH: Final[dict[str, bytes]] = {
    "invalid_json": b'{"type":"event","event":{"event_type":}}',
    "truncated": b'{"type":"event","event":{"event_type":"state_changed","data":{"entity_id":"sensor.cut_off","old_st',
    "truncated_list": b'[{"type":"event","event":{"event_type":"demo_rubbish","data":{},"origin":"LOCAL","time_fi',
    "unknown_type": b'{"type":"from_the_future","id":1,"payload":{"a":[1,2,3]}}',
    "unknown_event": b'{"type":"event","event":{"event_type":7,"data":"none"},"id":1}',
    "not_an_object": b'"just a text"',
    "null": b"null",
    "empty_list": b"[]",
    "nan": b'{"type":"event","event":{"event_type":"demo_rubbish","data":{"value":NaN},"origin":"LOCAL"},"id":1}',
    "empty": b"",
    "deep": b"[" * 3000 + b"]" * 3000,
    "not_utf8": b'{"type":"event","event":{"event_type":"\xff\xfe"}}',
}


@dataclass(slots=True)
class Misbehaviour:
    """What goes wrong on purpose; 0 is never."""

    refuse_token: bool = False
    cut_every_s: float = 0.0
    stall_every_s: float = 0.0
    stall_for_s: float = 10.0
    rubbish_every_s: float = 0.0
