"""What is refused leaves no circle of references behind: such a circle keeps its whole batch in memory."""

from __future__ import annotations

import gc

import pytest

from ingestor.events.frame import Frame, FrameKind, RawBatch
from ingestor.pipeline.validate import validate

RECEIVED_NS = 1_795_229_244_500_000_000

REFUSED: dict[str, tuple[FrameKind, bytes]] = {
    "no event": ("websocket", b'[{"type": "event", "event": {"event_type": "state_changed"}, "id": 3}]'),
    "unknown message": ("websocket", b'[{"id": 1, "type": "unheard"}]'),
    "cut off": ("websocket", b'[{"id": 1, "type": "event", "event": {"data'),
    "no JSON": ("eventstream", b"\xff\xfe{"),
    "no state": ("statestream", b'{"state": 1}'),
    "no row": ("history", b'{"entity_id": "sensor.kitchen", "rows": [7]}'),
    "nested deep": ("websocket", b'[{"id": 1, "type": "event", "event": ' + b"[" * 5000),
    "no reading": ("zigbee2mqtt", b'{"temperature": '),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_frame_leaves_nothing_for_the_garbage_collector(name: str) -> None:
    kind, payload = REFUSED[name]
    frame = Frame(kind, RECEIVED_NS, payload, topic="home/sensor/kitchen")
    validate(RawBatch("b", "home", "source", "j", RECEIVED_NS, [frame]), frozenset())  # what is loaded once, is
    gc.collect()
    gc.disable()

    try:
        found = validate(RawBatch("b", "home", "source", "j", RECEIVED_NS, [frame]), frozenset())
        left = gc.collect()
    finally:
        gc.enable()

    assert found.quarantined
    assert left == 0
