"""The quick way to a change of state gives what the models give, and leaves to them what it is not sure of."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingestor import errors
from ingestor.events import quick_states
from ingestor.events.event import Event
from ingestor.events.frame import Frame
from ingestor.events.websocket import decode_slowly, decode_websocket
from tests.unit.test_websocket_decoder import CHANGED, STATE

RECORDINGS = Path(__file__).parents[1] / "recordings"
CARRIES = (frozenset[str](), frozenset({"attributes"}))
MESSAGE: dict[str, Any] = {"id": 1, "type": "event", "event": CHANGED}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
texts = st.sampled_from(
    [
        *(
            "",
            "on",
            "nan",
            "1_0",
            "unavailable",
            "a.b",
            "a.b\n",
            "a\x1c.b",
            "a\u2028.b",
            "sensor.",
            "x" * 300,
            "\ud800",
        ),
        *("2026-11-21T02:47:24+00:00", "2026-11-21T02:47:24.5", "2026-11-21T02:47:24.000001+01:00", "1969-01-01T00:00"),
    ]
)


def paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield (*path, key)
        yield from paths(inner, (*path, key))


def changed(path: tuple[str, ...], value: Any, *, drop: bool) -> bytes:
    message = copy.deepcopy(MESSAGE)
    inside = message
    for key in path[:-1]:
        inside = inside[key]
    if drop:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return json.dumps(message).encode()


def shown(found: list[Event | errors.Rejected]) -> list[Any]:
    return [
        repr(msgspec.structs.asdict(one)) if isinstance(one, Event) else (one.reason, one.detail, one.raw)
        for one in found
    ]


def both_ways(payload: bytes, carries: frozenset[str]) -> tuple[list[Any], list[Any]]:
    frame = Frame("websocket", 7, payload)
    return shown(decode_websocket(frame, 3, carries)), shown(decode_slowly(frame, 3, carries))


@given(st.sampled_from(list(paths(MESSAGE))), json_values | texts, st.booleans(), st.sampled_from(CARRIES))
@example(("event", "data", "entity_id"), "a.b\n", False, CARRIES[0])
@example(("event", "data", "new_state"), None, False, CARRIES[0])
@example(("event", "data", "old_state"), None, False, CARRIES[1])
@example(("event", "data", "new_state", "attributes", "unit_of_measurement"), 2**70, False, CARRIES[1])
@example(("event", "data", "new_state", "state"), "x" * 16_385, False, CARRIES[0])
@example(("event", "context", "parent_id"), None, True, CARRIES[0])
@example(("event", "data", "new_state", "last_updated"), "2026-11-21T02:47:24.5", False, CARRIES[0])
@example(("event", "data", "new_state", "last_changed"), "2026-11-21T02:47:24.5", False, CARRIES[0])
@example(("event", "time_fired"), "2026-11-21T02:47:24.5", False, CARRIES[0])
def test_whatever_one_part_of_a_message_is_both_ways_come_to_the_same(
    path: tuple[str, ...], value: Any, drop: bool, carries: frozenset[str]
) -> None:
    quick, slow = both_ways(changed(path, value, drop=drop), carries)

    assert quick == slow


@given(st.lists(json_values | st.just(MESSAGE), max_size=5), st.sampled_from(CARRIES))
def test_in_a_coalesced_frame_each_message_keeps_its_slot_whatever_its_neighbours_are(
    messages: list[Any], carries: frozenset[str]
) -> None:
    quick, slow = both_ways(json.dumps(messages).encode(), carries)

    assert quick == slow


@given(st.integers(0, 1500))
def test_a_frame_that_is_cut_off_gives_the_same_both_ways(length: int) -> None:
    payload = orjson.dumps([MESSAGE, {"type": "pong", "id": 2}, MESSAGE])[:length]

    quick, slow = both_ways(payload, CARRIES[0])

    assert quick == slow


@pytest.mark.parametrize("year", ["2024", "2026"])
@pytest.mark.parametrize("carries", CARRIES)
def test_recorded_frames_give_the_same_both_ways_and_their_changes_go_the_quick_one(
    year: str, carries: frozenset[str]
) -> None:
    with gzip.open(RECORDINGS / f"websocket_listener_{year}.jsonl.gz") as lines:
        frames = [json.loads(line)["raw"].encode() for line in lines]

    for payload in frames:
        quick, slow = both_ways(payload, carries)
        assert quick == slow
    changes = sum(payload.count(b'"event_type":"state_changed"') for payload in frames)
    quickly = [
        quick_states.change_of(message, full=bool(carries))
        for payload in frames
        for message in quick_states.split(payload) or []
    ]
    assert sum(one is not None for one in quickly) >= changes * 0.95 > 50


def test_a_plain_change_goes_the_quick_way() -> None:
    message = msgspec.Raw(orjson.dumps(MESSAGE))

    lean, full = (quick_states.change_of(message, full=full) for full in (False, True))

    assert isinstance(lean, quick_states.LeanChange)
    assert lean.data.entity_id == STATE["entity_id"]
    assert isinstance(full, quick_states.FullChange)
