"""Frames that real homes sent go through the listener: every event, no answer, no secret."""

from __future__ import annotations

import gzip
import json
import threading
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from ingestor.events.redact import MARK
from ingestor.homeassistant.connection import Connection
from ingestor.intake.websocket import WebSocketListener
from ingestor.settings import HomeSettings
from tests.unit.websocket_wire import ListSink, ScriptedSocket, settings

RECORDINGS = Path(__file__).parents[1] / "recordings"


def frames_of(year: str) -> list[bytes]:
    with gzip.open(RECORDINGS / f"websocket_listener_{year}.jsonl.gz") as lines:
        return [json.loads(line)["raw"].encode() for line in lines]


def messages_in(frames: list[bytes]) -> list[Any]:
    decoded = [orjson.loads(frame) for frame in frames]
    return [message for item in decoded for message in (item if isinstance(item, list) else [item])]


def secrets_in(value: Any) -> list[str]:
    """Find by decoding what must not be kept: values of two keys, and tokens in addresses."""
    if isinstance(value, list):
        return [found for item in value for found in secrets_in(item)]
    if isinstance(value, str):
        return [value.rpartition("token=")[2]] if "token=" in value else []
    if not isinstance(value, dict):
        return []
    own = [str(item) for key, item in value.items() if key in {"access_token", "code"} and isinstance(item, str)]
    return own + [found for item in value.values() for found in secrets_in(item)]


@pytest.mark.parametrize("year", ["2024", "2026"])
def test_a_recorded_connection_gives_each_of_its_events_and_nothing_else(year: str) -> None:
    recorded = frames_of(year)
    stop, sink, changes = threading.Event(), ListSink(), []
    wire = ScriptedSocket(*recorded, idle=stop.set)
    home = HomeSettings(homeassistant=settings(all_events=True))
    connect = partial(Connection.open, open_socket=lambda *_: wire)

    WebSocketListener(home, sink=sink, connect=connect, on_registry_change=lambda: changes.append(1)).run(stop)

    kept = [frame.payload for frame in sink.frames]
    events = [message for message in messages_in(recorded) if message["type"] == "event"]
    assert len(messages_in(kept)) == len(events) > 100
    assert [one["event"]["time_fired"] for one in messages_in(kept)] == [one["event"]["time_fired"] for one in events]
    assert len(changes) == sum(b'_registry_updated"' in frame for frame in recorded) > 0


@pytest.mark.parametrize("year", ["2024", "2026"])
def test_no_recorded_secret_is_kept_and_every_other_frame_is_as_it_was(year: str) -> None:
    recorded = frames_of(year)
    stop, sink = threading.Event(), ListSink()
    wire = ScriptedSocket(*recorded, idle=stop.set)
    connect = partial(Connection.open, open_socket=lambda *_: wire)

    WebSocketListener(HomeSettings(homeassistant=settings(all_events=True)), sink=sink, connect=connect).run(stop)

    everything = b"\n".join(frame.payload for frame in sink.frames)
    secrets = set(secrets_in(messages_in(recorded)))
    changed = [frame.payload for frame in sink.frames if frame.payload not in recorded]
    assert len(secrets) > 3
    assert [
        secret for secret in secrets if f'"{secret}"'.encode() in everything or f"={secret}".encode() in everything
    ] == []
    assert all(MARK in payload for payload in changed)
