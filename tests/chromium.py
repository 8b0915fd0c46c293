"""A real browser for the tests of pages: headless Chromium, asked over its own protocol; judges no page."""

from __future__ import annotations

import base64
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import requests
import websocket

from tests.servers import HOST, Server, answers, find_program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_WAIT_S = 60.0


@dataclass
class Seen:
    """What a page did while it was shown: whom it asked, and what the browser complained of."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


class Chromium(Server):
    """A headless Chromium with a profile of its own."""

    name = "chromium"
    ready_timeout_s = 90.0
    poll_every_s = 0.1

    def __init__(self, folder: Path | None = None) -> None:
        self._program = find_program("chromium", "chromium")
        super().__init__(folder)

    def command(self) -> Sequence[str | Path]:
        """Run without a window. Root may start it only without its sandbox; it shows our own pages alone."""
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        options += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
        options += [f"--remote-debugging-port={self.port}", f"--user-data-dir={self.folder / 'profile'}"]
        return [self._program, *options, "about:blank"]

    def is_ready(self) -> bool:
        """Answer on the port of its protocol."""
        return answers(self.port, b"GET /json/version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"HTTP/1.1 200")

    def open(self) -> Page:
        """Open an empty page."""
        told = requests.put(f"http://{HOST}:{self.port}/json/new?about:blank", timeout=_WAIT_S).json()
        return Page(told["webSocketDebuggerUrl"])


class Page:
    """One tab."""

    def __init__(self, url: str) -> None:
        self._socket = websocket.create_connection(url, timeout=_WAIT_S, suppress_origin=True)
        self._numbers = itertools.count(1)
        self._events: list[dict[str, Any]] = []
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.ask(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the browser; return its answer."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv())
            if told.get("id") == number:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result
            self._events.append(told)

    def show(self, path: Path, *, width: int, dark: bool = False) -> Seen:
        """Show a file as on a screen of that width, until it is loaded and drawn; return what it did."""
        return self.visit(path.as_uri(), width=width, dark=dark)

    def sign_in(self, user: str, password: str) -> None:
        """Have the browser say who it is with each request."""
        word = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.ask("Network.setExtraHTTPHeaders", headers={"Authorization": f"Basic {word}"})

    def visit(self, url: str, *, width: int, dark: bool = False) -> Seen:
        """Show an address as on a screen of that width, until it is loaded and drawn; return what it did."""
        self._events.clear()
        media = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        self.ask("Emulation.setEmulatedMedia", features=media)
        self.ask("Page.navigate", url=url)
        until_s = time.monotonic() + _WAIT_S
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            assert time.monotonic() < until_s, "the page is not loaded"
            self._events.append(json.loads(self._socket.recv()))
        self.value("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
        return self._seen()

    def _seen(self) -> Seen:
        seen = Seen()
        for event in self._events:
            params = event["params"]
            if event["method"] == "Network.requestWillBeSent":
                seen.requests.append(params["request"]["url"])
            elif event["method"] == "Log.entryAdded":
                seen.complaints.append(params["entry"]["text"])
            elif event["method"] in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                seen.complaints.append(json.dumps(params))
        return seen

    def value(self, expression: str) -> Any:
        """Return what an expression is in the page."""
        told = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def picture(self) -> bytes:
        """Return the whole page as PNG."""
        told = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(told["data"])
