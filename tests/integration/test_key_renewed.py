"""A new key ends what the old one has opened: who stole a key hears no more once it is renewed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import websocket
from typer.testing import CliRunner

from ingestor.api import asyncapi
from ingestor.cli.main import build_app
from tests.integration.api_bench import served
from tests.integration.live_home import LiveHome
from tests.servers_brokers import ValkeyServer

STREAM = "/api/v1/events/stream"


@pytest.fixture
def live(tmp_path: Path, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveHome]:
    monkeypatch.setattr("ingestor.api.open_streams._LOOK_EVERY_S", 0.05)
    made = LiveHome(tmp_path, valkey_server.url, more={"api": {}})
    with served(made.app) as made.address:
        yield made


def key_of(live: LiveHome, *words: str) -> str:
    done = CliRunner().invoke(build_app(), ["--set", f"data_dir={live.settings.data_dir}", "key", *words])
    assert done.exit_code == 0, done.output
    return done.stdout.split()[-1]


def connected(live: LiveHome, key: str) -> websocket.WebSocket:
    address = live.address.replace("http", "ws") + asyncapi.PATH
    return websocket.create_connection(address, header={"X-API-Key": key}, timeout=60)


def test_a_new_key_ends_what_the_old_one_has_opened(live: LiveHome) -> None:
    old = key_of(live)
    idle, listening = connected(live, old), connected(live, old)
    listening.send(json.dumps({"type": "subscribe", "id": "s"}))
    assert json.loads(listening.recv())["type"] == "subscribed"
    stream = requests.get(live.address + STREAM, headers={"X-API-Key": old}, stream=True, timeout=60)
    lines = stream.iter_lines()
    assert next(lines).startswith(b"retry")

    new = key_of(live, "--renew")

    assert b"event: ready" in list(lines), "it ends, as a whole answer"
    for one in (idle, listening):
        opcode, data = one.recv_data()
        assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1008)
        assert data[2:] == b"the key was renewed"
    with pytest.raises(websocket.WebSocketBadStatusException):
        connected(live, old)
    again = connected(live, new)
    again.send(json.dumps({"type": "subscribe", "id": "s"}))
    assert json.loads(again.recv())["type"] == "subscribed"
    live.publish("light.hall")
    assert json.loads(again.recv())["events"][0]["subject"] == "light.hall"
    audit = (live.settings.data_dir / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["action"] for line in audit] == ["api_key.renew"]
