"""An event that no message can hold is put aside alone, at every depth that a reader of JSON lets through."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from ingestor import errors
from ingestor.events.diagnosis import diagnosis
from ingestor.events.event import Event
from ingestor.pipeline.portable import MAX_DEPTH, require_portable
from tests.fuzz.road import CORPUS, Road, frame

GOOD = (CORPUS / "websocket" / "plain.json").read_bytes()
DEPTHS = [MAX_DEPTH - 1, MAX_DEPTH, 800, 950, 980, 995, 1000, 1005, 1010, 1015]


def state_nested(depth: int) -> bytes:
    message = json.loads(GOOD)
    message["event"]["data"]["new_state"]["attributes"] = {"deep": 0}
    whole = json.dumps(message).replace('"deep": 0', '"deep": ' + "[" * depth + "]" * depth)
    assert "[[" in whole
    return whole.encode()


def further_down(steps: int, road: Road, *payloads: bytes) -> Counter[str]:
    """Send frames as a step would that has called so many functions already."""
    if steps:
        return further_down(steps - 1, road, *payloads)
    return road.send(*(frame("websocket", payload) for payload in payloads))


@pytest.mark.parametrize("calls", [0, 60])
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_state_nested_too_deep_is_rejected_and_its_neighbours_are_written(depth: int, calls: int) -> None:
    road = Road()

    ended = further_down(calls, road, GOOD, state_nested(depth))

    if depth < MAX_DEPTH:
        assert ended["rejected"] == 0
    else:
        assert ended == {"written": 1, "rejected": 1}


@pytest.mark.parametrize("depth", [MAX_DEPTH, 1000, 5999])
def test_json_nested_too_deep_is_called_so_whatever_reader_gives_up(depth: int) -> None:
    road = Road()

    road.send(frame("websocket", state_nested(depth)))

    (state,) = road.quarantine.list()
    assert state.reason == "nested_too_deep"
    assert "six levels" not in diagnosis(state.reason, state.detail)


@pytest.mark.parametrize("value", [2**64, {1, 2, object()}, "\ud800"])
def test_what_cannot_be_packed_at_all_is_named(value: Any) -> None:
    event = Event(0, "event", "mine", "mine:-", None, 1, 1, "websocket", 0, data={"a": value})

    with pytest.raises(errors.InvalidEvent) as refused:
        require_portable(event)

    assert refused.value.reason == "not_portable"
