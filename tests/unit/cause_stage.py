"""Recorded homes for the tests of causes: their events in batches, shuffled over workers; and what is true of them."""

from __future__ import annotations

import gzip
import heapq
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ingestor.enrichment.cause import CauseStep
from ingestor.enrichment.place import PlaceStep
from ingestor.enrichment.steps import Step
from ingestor.events.event import Event, EventBatch, Place
from ingestor.events.frame import Frame
from ingestor.events.websocket import decode_websocket
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.model import Snapshot, Timeline
from ingestor.pipeline.enrich import enrich

RECORDINGS = Path(__file__).parents[1] / "recordings"
START_NS = 1_795_229_244_000_000_000
#: How long a batch takes: 70 batches in any order are through before anybody stops waiting.
BATCH_S = 0.02
Truth = tuple[str, str, str, str]


def frames_of(year: str) -> list[bytes]:
    with gzip.open(RECORDINGS / f"causes_{year}.jsonl.gz") as lines:
        return [line.strip() for line in lines]


def events_of(frames: Sequence[bytes]) -> list[Event]:
    found: list[Event] = []
    for raw in frames:
        for one in decode_websocket(Frame("websocket", START_NS, raw), len(found), frozenset({"data"})):
            assert isinstance(one, Event)
            found.append(one)
    return found


def batches_of(events: Sequence[Event], size: int, home: str = "home") -> list[EventBatch]:
    return [
        EventBatch(f"{start:026}", home, "websocket", "j", START_NS, size, list(events[start : start + size]))
        for start in range(0, len(events), size)
    ]


def home_map(events: Sequence[Event], home: str = "home") -> MemoryHomeMap:
    found = MemoryHomeMap()
    ids = {event.entity_id for event in events if event.entity_id}
    places = {one: Timeline(0, Place(one, one.partition(".")[0])) for one in ids}
    found.publish(Snapshot(home, 1, 0, places), [])
    return found


def enriched(
    batches: Sequence[EventBatch], workers: Sequence[CauseStep], places: MemoryHomeMap, seed: int | None
) -> dict[str, list[Event]]:
    """Enrich batches in any order by any of the workers; return the events by context."""
    chance = random.Random(seed)
    order = list(batches)
    if seed is not None:
        chance.shuffle(order)
    queue = [(0.0, number, one) for number, one in enumerate(order)]
    heapq.heapify(queue)
    now_s, number, found = 0.0, len(queue), dict[str, list[Event]]()
    while queue:
        due_s, _, batch = heapq.heappop(queue)
        now_s = max(now_s, due_s) + BATCH_S
        steps: list[Step] = [PlaceStep(), chance.choice(workers)]
        outcome = enrich(batch, places, now_ns=START_NS + int(now_s * 1e9), wait_s=5, steps=steps)
        for event in outcome.ready.events if outcome.ready else []:
            found.setdefault(event.context_id or "", []).append(event)
        if outcome.held:
            number += 1
            heapq.heappush(queue, (now_s + outcome.retry_in_s, number, outcome.held))
    return found


def causes_told(found: dict[str, list[Event]]) -> dict[str, tuple[object, ...]]:
    """Return cause and root cause that each `automation_triggered` got, by its context."""
    names = ("cause_kind", "cause_id", "root_cause_kind", "root_cause_id")
    return {
        context_id: tuple((event.extras or {}).get(name, "") for name in names)
        for context_id, some in found.items()
        for event in some
        if event.event_type == "automation_triggered"
    }


def truths(frames: Sequence[bytes]) -> dict[str, Truth]:
    """Return cause and root cause of each `automation_triggered` by its context, from the whole recording at once."""
    events = [json.loads(frame)["event"] for frame in frames]
    started: dict[str, dict[str, Any]] = {}
    heard: dict[str, dict[str, Any]] = {}
    for event in events:
        heard.setdefault(event["context"]["id"], event)
        if event["event_type"] in {"automation_triggered", "script_started"}:
            known = started.get(event["context"]["id"])
            if known is None or known["event_type"] == "script_started":
                started[event["context"]["id"]] = event
    return {
        id_: (*_immediate(event, started, heard), *_root(event, started, heard))
        for id_, event in started.items()
        if event["event_type"] == "automation_triggered"
    }


def _immediate(event: dict[str, Any], started: dict[str, Any], heard: dict[str, Any]) -> tuple[str, str]:
    context = event["context"]
    if context["user_id"]:
        return "user", context["user_id"]
    parent = context["parent_id"]
    if parent in started:
        entity_id: str = started[parent]["data"]["entity_id"]
        return entity_id.partition(".")[0], entity_id
    if parent is not None and heard[parent]["context"]["user_id"]:
        return "user", heard[parent]["context"]["user_id"]
    source = event["data"].get("source", "")
    return "device", source.replace("numeric state of ", "").replace("state of ", "").replace("mqtt topic ", "mqtt:")


def _root(event: dict[str, Any], started: dict[str, Any], heard: dict[str, Any]) -> tuple[str, str]:
    for _ in range(1000):
        kind, id_ = _immediate(event, started, heard)
        if kind not in {"automation", "script"}:
            return kind, id_
        event = started[event["context"]["parent_id"]]
    raise AssertionError("no end of the chain")
