"""Whatever comes in a frame: no crash, and each slot ends as stored, duplicate, filtered or in quarantine."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestor.events.frame import FrameKind
from tests.fuzz.road import CORPUS, KINDS, Road, corpus, frame

GOOD = (CORPUS / "websocket" / "plain.json").read_bytes()
SEEDS = [(kind, path.read_bytes()) for kind in KINDS for path in corpus(kind)]
#: Payloads that a small file cannot hold: (name, bytes).
LARGE = {
    "lists in lists": b"[" * 200_000,
    "closed lists in lists": b"[" * 900 + b"]" * 900,
    "objects in objects": b'{"a":' * 200_000,
    "closed objects in objects": b'{"a":' * 1000 + b"1" + b"}" * 1000,
    "a number of a million digits": b'{"a":' + b"9" * 1_000_000 + b"}",
    "an exponent": b'{"a":1e' + b"9" * 100_000 + b"}",
    "ten megabytes of text": orjson.dumps({"a": "x" * 10_000_000}),
    "ten megabytes of escapes": b'{"a":"' + b"\\ud800" * 1_700_000 + b'"}',
    "ten megabytes of commas": b"[" + b"," * 10_000_000,
    "a million messages": b"[" + b"{}," * 1_000_000 + b"{}]",
    "a million messages, cut": b"[" + b"{}," * 1_000_000,
    "a hundred thousand keys": orjson.dumps({str(number): number for number in range(100_000)}),
    "a megabyte of nothing": bytes(1_000_000),
    "a megabyte of quotes": b'"' * 1_000_000,
    "a megabyte of backslashes": b"[" + b"\\" * 1_000_000,
}
#: What a busy machine may take for the largest of them; the tests' own time limit is far above.
WITHIN_S = 20.0

scalars: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["\ud800", "light.a", "unavailable", "2026-11-21T02:47:24.000001+00:00", 2**64, 10**400, "\0"])
)
KEYS = st.sampled_from(
    [
        *("type", "event", "event_type", "data", "origin", "time_fired", "context", "id", "parent_id", "user_id"),
        *("entity_id", "old_state", "new_state", "state", "attributes", "last_changed", "last_updated", "event_data"),
        *("unit_of_measurement", "device_class", "raw", "raw_base64", "entities", "component", "object_id"),
        *("value_template", "payloads", "value_path", "rows", "s", "a", "lu", "lc", "start", "mean", "unit", "device"),
        *("StatusSNS", "TempUnit", "Temperature", "ieeeAddr", "friendlyName", "installed_version"),
    ]
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=6),
    max_leaves=25,
)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "path", [one for kind in KINDS for one in corpus(kind)], ids=lambda one: f"{one.parent.name}-{one.stem}"
)
def test_each_input_of_the_corpus_ends_whatever_it_is_taken_for(kind: FrameKind, path: Path) -> None:
    started = time.thread_time()

    ended = Road().send(frame("websocket", GOOD), frame(kind, path.read_bytes()), frame("websocket", GOOD))

    assert ended["written"] >= 1
    assert time.thread_time() - started < 5


@pytest.mark.parametrize(
    "path", [*corpus("websocket"), *corpus("history"), *corpus("discovery")], ids=lambda one: one.stem
)
def test_only_what_is_no_event_at_all_leaves_no_trace(path: Path) -> None:
    kind: Any = path.parent.name

    ended = Road().send(frame(kind, path.read_bytes()))

    # An empty list says nothing, and of two types the last one counts: an answer.
    assert ended or path.stem in {"empty_list", "duplicate_keys"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LARGE)
def test_a_huge_payload_is_dealt_with_in_bounded_time(kind: FrameKind, name: str) -> None:
    started = time.thread_time()

    ended = Road().send(frame("websocket", GOOD), frame(kind, LARGE[name]))

    assert ended["written"] >= 1
    assert sum(ended.values()) <= 2 + 10_000
    assert time.thread_time() - started < WITHIN_S


@given(st.sampled_from(KINDS), st.binary(max_size=300), st.booleans())
def test_any_bytes_end(kind: FrameKind, payload: bytes, shadowed: bool) -> None:
    Road().send(frame(kind, payload, shadowed=shadowed))


@given(st.lists(st.tuples(st.sampled_from(KINDS), documents), max_size=4), st.booleans())
def test_any_json_ends(several: list[tuple[FrameKind, Any]], lean: bool) -> None:
    road = Road(carries=frozenset() if lean else frozenset({"attributes"}))

    road.send(*(frame(kind, as_json(value)) for kind, value in several))


@given(st.data())
def test_any_change_of_one_place_in_a_known_input_ends(data: st.DataObject) -> None:
    kind, payload = data.draw(st.sampled_from(SEEDS))
    position = data.draw(st.integers(0, len(payload)))
    put = data.draw(
        st.binary(max_size=6) | st.sampled_from([b"\\ud800", b"NaN", b"1e999", b"null", b"[[", b'"', b"\0"])
    )
    cut = data.draw(st.integers(0, 8))

    road = Road()
    ended = road.send(frame("websocket", GOOD), frame(kind, payload[:position] + put + payload[position + cut :]))

    assert ended["written"] >= 1


@given(st.data())
def test_any_value_in_the_place_of_another_ends(data: st.DataObject) -> None:
    kind, payload = data.draw(st.sampled_from(SEEDS))
    try:
        document = json.loads(payload)
    except ValueError:
        return
    changed = replaced(document, data.draw(documents), data.draw(st.integers(0, 30)))

    Road().send(frame(kind, as_json(changed)))


@settings(max_examples=20)
@given(st.sampled_from(SEEDS))
def test_a_batch_that_is_sent_again_changes_nothing(seed: tuple[FrameKind, bytes]) -> None:
    kind, payload = seed
    road = Road()
    first = road.send(frame(kind, payload))
    points = {key: dict(value) for key, value in road.store.points.items()}

    again = road.send(frame(kind, payload))

    assert sum(again.values()) == sum(first.values())
    assert {key: dict(value) for key, value in road.store.points.items()} == points


def replaced(document: Any, value: Any, countdown: int) -> Any:
    """Put a value in the place of the so manieth one of a document."""
    left = [countdown]

    def walk(inner: Any) -> Any:
        left[0] -= 1
        if left[0] == -1:
            return value
        if isinstance(inner, dict):
            return {key: walk(one) for key, one in inner.items()}
        return [walk(one) for one in inner] if isinstance(inner, list) else inner

    return walk(document)
