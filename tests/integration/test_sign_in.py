"""Browsers, which cannot send a header with a stream: sessions in a cookie, and tickets that open one stream once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
import requests
import websocket

from ingestor import errors
from ingestor.api.callers import COOKIE
from ingestor.api.open_streams import OpenStreams, end_with_sessions
from ingestor.queue.state import connect_state
from ingestor.security.access import Principal
from ingestor.security.ended_sessions import EndedSessions
from ingestor.security.tickets import EXPIRES_AFTER_S, Tickets
from tests.chromium import Chromium, Page
from tests.conftest import StartServer
from tests.integration.api_bench import KEY, served
from tests.integration.live_home import LiveHome
from tests.servers_brokers import ValkeyServer

STREAM = "/api/v1/events/stream"
SOCKET = "/api/v1/ws"
CONFIG = "/api/config"


@pytest.fixture
def live(tmp_path: Path, valkey_server: ValkeyServer) -> Iterator[LiveHome]:
    made = LiveHome(tmp_path, valkey_server.url, heartbeat_s=0.2)
    with served(made.app) as made.address:
        yield made


@pytest.fixture
def browser(live: LiveHome) -> Iterator[requests.Session]:
    """Somebody who has signed in, and sends what browsers send."""
    with requests.Session() as session:
        session.headers["Origin"] = live.address
        told = session.post(live.address + "/api/v1/session", json={"key": KEY}, timeout=60)
        assert told.status_code == 200, told.text
        yield session


def ticket_of(live: LiveHome) -> str:
    told = requests.post(live.address + "/api/v1/tickets", headers={"X-API-Key": KEY}, timeout=60)
    assert told.json()["expires_in_s"] == EXPIRES_AFTER_S
    return str(told.json()["ticket"])


def stream(live: LiveHome, **params: Any) -> int:
    """Return how a stream is answered."""
    with requests.get(live.address + STREAM, {"end_after_s": 0, **params}, timeout=60) as answer:
        return answer.status_code


def open_socket(live: LiveHome, query: str = "", path: str = SOCKET, **how: Any) -> websocket.WebSocket:
    return websocket.create_connection(live.address.replace("http", "ws") + path + query, timeout=60, **how)


def test_a_session_reads_and_writes_until_it_is_ended(live: LiveHome, browser: requests.Session) -> None:
    cookie: Any
    (cookie,) = browser.cookies
    assert (cookie.name, cookie.path, cookie.has_nonstandard_attr("HttpOnly")) == (COOKIE, "/", True)
    assert cookie.get_nonstandard_attr("SameSite") == "strict"
    assert KEY not in str(cookie.value)
    assert browser.get(live.address + "/api/v1/session", timeout=60).json() == {
        "name": "installation",
        "kind": "session",
        "ends": None,
    }
    assert browser.put(live.address + CONFIG, json={}, timeout=60).status_code == 200

    assert browser.delete(live.address + "/api/v1/session", timeout=60).status_code == 204
    assert not list(browser.cookies)
    assert browser.get(live.address + CONFIG, timeout=60).status_code == 401


def test_a_session_that_was_ended_is_good_for_nothing_in_any_process(
    live: LiveHome, browser: requests.Session, tmp_path: Path, valkey_server: ValkeyServer
) -> None:
    word = next(iter(browser.cookies)).value
    stays = requests.post(live.address + "/api/v1/session", json={"key": KEY}, timeout=60).cookies[COOKIE]
    ticket = str(browser.post(live.address + "/api/v1/tickets", timeout=60).json()["ticket"])
    other = LiveHome(tmp_path, valkey_server.url, home=live.home)
    with served(other.app) as other.address:

        def status(address: str, cookie: str | None) -> int:
            return requests.get(address + CONFIG, headers={"Cookie": f"{COOKIE}={cookie}"}, timeout=60).status_code

        assert status(other.address, word) == 200

        assert browser.delete(live.address + "/api/v1/session", timeout=60).status_code == 204

        for address in (live.address, other.address):
            assert status(address, word) == 401
            assert status(address, f"!{word}") == 401  # the same, written in another way
            assert status(address, stays) == 200
        assert stream(other, ticket=ticket) == 401
        with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
            open_socket(other, cookie=f"{COOKIE}={word}", origin=other.address)


def test_what_a_session_has_opened_ends_with_it_in_every_process(
    live: LiveHome,
    browser: requests.Session,
    tmp_path: Path,
    valkey_server: ValkeyServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ingestor.api.open_streams._LOOK_EVERY_S", 0.05)
    word = next(iter(browser.cookies)).value
    ticket = str(browser.post(live.address + "/api/v1/tickets", timeout=60).json()["ticket"])
    other = LiveHome(tmp_path, valkey_server.url, home=live.home)
    with served(other.app) as other.address:
        sockets = [
            open_socket(other, cookie=f"{COOKIE}={word}", origin=other.address),
            open_socket(other, f"?ticket={ticket}"),
        ]
        by_key = open_socket(other, header={"X-API-Key": KEY})
        events = requests.get(other.address + STREAM, headers={"Cookie": f"{COOKIE}={word}"}, stream=True, timeout=60)
        lines = events.iter_lines()
        assert next(lines).startswith(b"retry")

        assert browser.delete(live.address + "/api/v1/session", timeout=60).status_code == 204

        assert b"event: ready" in list(lines), "it ends, as a whole answer"
        for one in sockets:
            opcode, data = one.recv_data()
            assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1008)
            assert data[2:] == b"the session has ended"
        by_key.send(json.dumps({"type": "subscribe", "id": "s"}))
        assert json.loads(by_key.recv())["type"] == "subscribed"


def test_what_a_session_has_opened_ends_when_it_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestor.api.open_streams._LOOK_EVERY_S", 0.01)
    none_ended: Any = SimpleNamespace(has=lambda *_: False)
    sent: list[Any] = []

    async def forever(*_: object) -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    async def told() -> set[tuple[str, int]]:
        streams = OpenStreams()
        by = [Principal("session", "one", mark, ends_s) for mark, ends_s in (("a", 1000), ("b", 2000))]
        opened = [asyncio.create_task(streams.serve(forever, {"type": "http"}, forever, send, who)) for who in by]
        watching = asyncio.create_task(end_with_sessions(streams, none_ended, clock=lambda: 1000))
        try:
            await asyncio.wait_for(opened[0], 60)
            return streams.sessions()
        finally:
            for task in (watching, *opened):
                task.cancel()
            await asyncio.gather(watching, *opened, return_exceptions=True)

    assert asyncio.run(told()) == {("b", 2000)}
    assert sent == [{"type": "http.response.body", "body": b"", "more_body": False}]


def test_an_ended_session_is_kept_until_it_would_have_run_out_and_known_while_nobody_can_be_asked(
    state: redis.Redis[bytes],
) -> None:
    now_s = time.time()
    ended, elsewhere = EndedSessions(state), EndedSessions(state)
    away = EndedSessions(connect_state("redis://127.0.0.1:1", hurried=True))

    ended.end("mark-of-one", now_s + 600)
    with pytest.raises(errors.StateUnavailable):
        away.end("mark-of-two", now_s + 600)

    assert 600 <= state.ttl("ha_ingestor:ended-session:mark-of-one") <= 660
    assert ended.has("mark-of-one", now_s + 600)
    assert elsewhere.has("mark-of-one", now_s + 600)
    assert not elsewhere.has("mark-of-two", now_s + 600)
    assert away.has("mark-of-two", now_s + 600)
    assert not away.has("mark-of-one", now_s + 600)


def test_a_wrong_key_begins_no_session(live: LiveHome) -> None:
    told = requests.post(live.address + "/api/v1/session", json={"key": KEY + "x"}, timeout=60)

    assert told.status_code == 401
    assert "set-cookie" not in told.headers
    assert KEY not in told.text


def test_a_session_writes_only_from_a_page_of_ours(live: LiveHome, browser: requests.Session) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", None):
        told = browser.put(live.address + CONFIG, json={}, headers={"Origin": origin}, timeout=60)
        assert told.status_code == 403, origin
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            open_socket(live, cookie=cookie, origin=origin, suppress_origin=origin is None)
    told = requests.post(
        live.address + "/api/v1/session", json={"key": KEY}, headers={"Origin": "https://evil.example"}, timeout=60
    )
    assert told.status_code == 403


def test_a_ticket_opens_one_stream_once(live: LiveHome) -> None:
    ticket = ticket_of(live)

    assert stream(live, ticket=ticket) == 200
    assert stream(live, ticket=ticket) == 401
    ticket = ticket_of(live)
    open_socket(live, f"?ticket={ticket}").close()
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        open_socket(live, f"?ticket={ticket}")
    assert stream(live, ticket=ticket) == 401
    ticket, graphql = ticket_of(live), "/api/v1/graphql"
    open_socket(live, f"?ticket={ticket}", graphql, subprotocols=["graphql-transport-ws"]).close()
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        open_socket(live, f"?ticket={ticket}", graphql, subprotocols=["graphql-transport-ws"])


def test_a_ticket_opens_nothing_but_streams_and_stays_good_for_them(live: LiveHome) -> None:
    ticket = ticket_of(live)

    for path in ("/api/v1/events", CONFIG, "/api/v1/session", "/graphql"):
        assert requests.get(live.address + path, {"ticket": ticket}, timeout=60).status_code == 401
    assert stream(live, ticket=[ticket, ticket]) == 401
    assert stream(live, ticket="é" * 3000) == 401
    assert stream(live, ticket=ticket, entity="light.*") == 200


def test_a_ticket_runs_out_and_is_not_kept_as_it_is(state: redis.Redis[bytes]) -> None:
    tickets = Tickets(state)
    word = tickets.give(Principal("key", "installation"))
    (place,) = state.keys("ha_ingestor:ticket:*")
    assert word.encode() not in place
    assert 0 < state.ttl(place) <= EXPIRES_AFTER_S

    state.delete(place)

    assert tickets.take(word).kind == "anonymous"
    word = tickets.give(Principal("session", "installation"))
    assert tickets.take(word) == Principal("session", "installation")
    assert tickets.take(word).kind == "anonymous"


def test_a_ticket_stands_in_no_log_even_at_level_debug(live: LiveHome, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tickets = [ticket_of(live) for _ in range(2)]

    open_socket(live, f"?ticket={tickets[0]}").close()
    stream(live, ticket=tickets[1])
    with contextlib.suppress(websocket.WebSocketBadStatusException):
        open_socket(live, f"?ticket={tickets[0]}")

    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("urllib3")]
    assert any(SOCKET in line for line in ours)
    assert [line for line in ours if any(ticket in line for ticket in tickets)] == []


@pytest.fixture
def page(start_server: StartServer) -> Iterator[Page]:
    with start_server(Chromium).open() as opened:
        yield opened


_HEAR = """
window.heard = {sse: [], ws: []};
window.ready = Promise.all([
  new Promise(done => {
    const source = new EventSource('/api/v1/events/stream?entity=light.*');
    source.addEventListener('ready', () => done());
    source.addEventListener('event.new', event => window.heard.sse.push(JSON.parse(event.data).subject));
  }),
  new Promise(done => {
    const socket = new WebSocket(`ws://${location.host}/api/v1/ws` + TICKET);
    socket.onopen = () => socket.send(JSON.stringify({type: 'subscribe', id: 'a', filter: {entity: ['light.*']}}));
    socket.onmessage = event => {
      const told = JSON.parse(event.data);
      if (told.type === 'subscribed') done();
      if (told.type === 'events') window.heard.ws.push(...told.events.map(one => one.subject));
    };
  })
]).then(() => 'ready');
window.ready
"""
_HEARD = """
new Promise(done => {
  const look = () => heard.sse.length && heard.ws.length ? done(heard) : setTimeout(look, 20);
  look();
})
"""


def sign_in(page: Page) -> None:
    asked = "fetch('/api/v1/session', {method: 'POST', body: JSON.stringify({key: KEY}), "
    asked += "headers: {'Content-Type': 'application/json'}}).then(answer => answer.status)"
    assert page.value(asked.replace("KEY", json.dumps(KEY))) == 200


def test_a_page_in_chromium_signs_in_and_hears_events_over_both(live: LiveHome, page: Page) -> None:
    page.visit(live.address + "/", width=800)
    assert page.value("fetch('/api/v1/events').then(answer => answer.status)") == 401
    sign_in(page)
    assert page.value("document.cookie") == ""

    ticket = "fetch('/api/v1/tickets', {method: 'POST'}).then(answer => answer.json()).then(told => told.ticket)"
    for query in ("", f"?ticket={page.value(ticket)}"):
        assert page.value(_HEAR.replace("TICKET", json.dumps(query))) == "ready"
        live.publish("light.hall", "sensor.kitchen")
        assert page.value(_HEARD) == {"sse": ["light.hall"], "ws": ["light.hall"]}
        page.visit(live.address + "/", width=800)


def test_a_page_of_elsewhere_gets_nothing_by_the_session_of_a_browser(
    live: LiveHome, page: Page, page_elsewhere: Callable[[], str]
) -> None:
    page.visit(live.address + "/", width=800)
    sign_in(page)

    page.visit(page_elsewhere(), width=800)
    read = f"fetch('{live.address}{CONFIG}', {{credentials: 'include'}}).then(() => 'read', () => 'refused')"
    assert page.value(read) == "refused"
    write = f"fetch('{live.address}{CONFIG}', {{method: 'PUT', credentials: 'include', body: '{{}}'}})"
    assert page.value(f"{write}.then(() => 'written', () => 'refused')") == "refused"
    socket = f"new Promise(done => {{ const socket = new WebSocket('{live.address.replace('http', 'ws')}{SOCKET}');"
    socket += "socket.onopen = () => done('open'); socket.onerror = () => done('refused') })"
    assert page.value(socket) == "refused"
    source = "new Promise(done => { const source = new EventSource("
    source += f"'{live.address}{STREAM}', {{withCredentials: true}});"
    source += "source.addEventListener('ready', () => done('open')); source.onerror = () => done('refused') })"
    assert page.value(source) == "refused"


@pytest.fixture
def page_elsewhere(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """A page on another port of the same host: the same site, so the browser sends the cookie along."""
    with contextlib.ExitStack() as stack:
        other = LiveHome(tmp_path / "other", "redis://127.0.0.1:1/0")
        yield lambda: stack.enter_context(served(other.app)) + "/"
