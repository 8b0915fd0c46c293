"""The home of the chaos runs notes when it could not be heard: what was missed then is told from what was lost."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.chaos import source
from tests.chaos.expected import read


def run(book: Path, *, patient: bool, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    monkeypatch.setattr(source, "_NOTICED_AFTER_S", 0.3)
    options = argparse.Namespace(
        token="token", mqtt_url="mqtt://127.0.0.1:1", book=str(book), rate=100.0, entities=20, seed=1
    )

    def listen(url: str) -> websocket.WebSocket:
        line = websocket.create_connection(url.replace("http", "ws") + "/api/websocket", timeout=20)
        json.loads(line.recv())
        for message in ({"type": "auth", "access_token": "token"}, {"id": 1, "type": "subscribe_events"}):
            line.send(json.dumps(message))
            json.loads(line.recv())
        return line

    async def story() -> None:
        home = source.Source(options)
        server: Any = home._server
        await server.start()
        line = await asyncio.to_thread(listen, server.url)
        silence = asyncio.ensure_future(home._stall(0.5))
        await asyncio.sleep(0.1)
        if not patient:
            line.sock.close()
        await silence
        home._book.flush()
        with contextlib.suppress(OSError):
            line.close()
        await server.stop()

    asyncio.run(story())
    return read(book).deaf


def test_a_silence_that_a_listener_gives_up_in_is_time_that_it_could_not_hear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((start_us, end_us),) = run(tmp_path / "book", patient=False, monkeypatch=monkeypatch)

    assert 500_000 <= end_us - start_us < 60_000_000


def test_a_silence_that_a_listener_waits_for_hides_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path / "book", patient=True, monkeypatch=monkeypatch) == []
