"""What is asked of Home Assistant's REST API: at which address, and by whom."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from ingestor.homeassistant.rest import HomeAssistantRest
from ingestor.settings import HomeAssistantSettings


class Asked(ThreadingHTTPServer):
    """A server that has one scene, and notes who asked for what."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard: list[tuple[str, str | None]] = []


class Handler(BaseHTTPRequestHandler):
    server: Asked

    def do_GET(self) -> None:
        self.server.heard.append((self.path, self.headers["Authorization"]))
        body = b'{"id": "1", "entities": {}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Asked]:
    with Asked() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("form", ["http://{}", "http://{}/api/websocket", "ws://{}", "http://user:password@{}"])
def test_a_scene_is_asked_for_with_the_token_however_the_address_was_typed(server: Asked, form: str) -> None:
    url = form.format(f"127.0.0.1:{server.server_port}")

    with HomeAssistantRest(HomeAssistantSettings(url=url, token=SecretStr("the-token"))) as rest:
        found = rest.scene_config("1")

    assert found == {"id": "1", "entities": {}}
    assert server.heard == [("/api/config/scene/config/1", "Bearer the-token")]
