"""The door of the API before any server is asked: keys, origins, bodies, problems, request ids, ETags."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest
from fastapi import FastAPI, Query, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel, SecretStr
from starlette.testclient import WebSocketDenialResponse
from starlette.types import Message

from ingestor import errors
from ingestor.api.callers import Callers
from ingestor.api.description import _PROBLEMS, describe
from ingestor.api.etag import ETags
from ingestor.api.gate import MAX_BODY_BYTES, Gate, WriteGuard
from ingestor.api.open_streams import OpenStreams
from ingestor.api.problems import handle_problems
from ingestor.security.keys import Keyring, key_file

KEY = "a key that is long enough"
SOCKET = "ws://127.0.0.1:8080/ws"
RAISED: dict[str, Exception] = {
    "gone": errors.NotFound("there is no such thing"),
    "away": errors.StoreUnavailable("the store is away", retry_after_s=7),
    "refused": errors.StoreRefused("the token is refused"),
    "contradiction": errors.Unanswerable("since is after until"),
    "bug": RuntimeError("a secret of ours"),
}


class Body(BaseModel):
    name: str
    token: SecretStr


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    app = FastAPI(title="t", version="1", docs_url=None, redoc_url=None)
    handle_problems(app)

    @app.get("/open")
    def read_open() -> str:
        return "open"

    @app.get("/things")
    def read_things(limit: Annotated[int, Query(ge=1, le=10)] = 1) -> list[int]:
        return list(range(limit))

    @app.put("/things")
    def put_thing(body: Body) -> str:
        return body.name

    @app.get("/raise/{what}")
    def fail(what: str) -> None:
        raise RAISED[what]

    @app.get("/stream")
    def stream() -> StreamingResponse:
        return StreamingResponse(iter(["a", "b"]))

    @app.websocket("/ws")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("in")
        await socket.close()

    app.add_middleware(ETags)
    writes = WriteGuard(host="0.0.0.0", hosts=("ingestor.example",), origins=("https://panel.example/",))
    callers = Callers(Keyring(key_file(tmp_path), KEY))
    app.add_middleware(Gate, streams=OpenStreams(), callers=callers, open_paths={"/open"}, writes=writes)
    app.openapi = describe(app, {"/open"})  # type: ignore[method-assign]  # as the product does
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1:8080", headers={"X-API-Key": KEY}) as client:
        yield client


@pytest.fixture
def stranger(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1:8080") as client:
        yield client


def problem(answer: Any, status: int, name: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    found: dict[str, Any] = answer.json()
    assert found["type"] == f"urn:ha-ingestor:problem:{name}"
    assert found["status"] == status
    assert found["request_id"] == answer.headers["x-request-id"]
    assert found["title"]
    return found


@pytest.mark.parametrize("path", ["/things", "/openapi.json", "/nothing/here", "/raise/bug", "/open/", "//open"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": "wrong"},
        {"X-API-Key": ""},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer wrong", "X-API-Key": KEY},
        {"Authorization": f"Bearer {KEY}", "X-API-Key": "wrong"},
    ],
)
def test_without_the_key_only_what_is_open_answers(stranger: TestClient, path: str, headers: dict[str, str]) -> None:
    answer = stranger.get(f"http://127.0.0.1:8080{path}", headers=headers, follow_redirects=False)

    problem(answer, 401, "key-needed")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert stranger.get("/open", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY} "},
        {"Authorization": "Basic cHJveHk6cHJveHk=", "X-API-Key": KEY},
    ],
)
def test_the_key_is_taken_in_either_header(stranger: TestClient, headers: dict[str, str]) -> None:
    assert stranger.get("/things", headers=headers).status_code == 200


def test_without_the_key_a_body_is_not_even_read(app: FastAPI) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body was asked for")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "PUT", "path": "/things", "query_string": b"", "headers": []}
    anyio.run(app.middleware_stack or app.build_middleware_stack(), scope, receive, send)

    assert sent[0]["status"] == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8080"}, 200),
        ({"Host": "[::1]:8080"}, 200),
        ({"Host": "192.168.1.9"}, 200),
        ({"Host": "Ingestor.Example"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost.evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "[::1"}, 403),
        ({"Origin": "http://127.0.0.1:8080"}, 200),
        ({"Origin": "https://panel.example"}, 200),
        ({"Origin": "http://127.0.0.1:3000"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Content-Length": "9" * 5000}, 413),
    ],
)
def test_a_write_must_come_from_here_and_to_us(client: TestClient, headers: dict[str, str], status: int) -> None:
    answer = client.put("/things", json={"name": "n", "token": "t"}, headers=headers)

    assert answer.status_code == status
    if status != 200:
        problem(answer, status, {403: "not-allowed", 413: "too-large"}[status])


def test_reading_may_come_from_anywhere_that_has_the_key(client: TestClient) -> None:
    assert client.get("/things", headers={"Origin": "https://evil.example", "Host": "evil.example"}).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_long_is_refused(client: TestClient, chunked: bool) -> None:
    size = MAX_BODY_BYTES + 1
    body: Any = iter([b"x" * 65536] * (size // 65536 + 1)) if chunked else b"x" * size

    problem(client.put("/things", content=body, headers={"content-type": "application/json"}), 413, "too-large")


def test_what_is_wrong_with_a_request_is_named_part_by_part(client: TestClient) -> None:
    found = problem(client.get("/things", params={"limit": "11"}), 422, "invalid")

    assert [(one["where"], one["name"]) for one in found["errors"]] == [("query", "limit")]
    assert "10" in found["detail"]


def test_a_secret_in_a_body_that_is_refused_is_not_told_again(client: TestClient) -> None:
    answer = client.put("/things", json={"token": "my secret"})

    found = problem(answer, 422, "invalid")
    assert found["errors"][0]["name"] == "name"
    assert "my secret" not in answer.text
    problem(client.put("/things", content=b'{"token": "my secret"'), 422, "invalid")


def test_a_path_or_a_method_that_there_is_not_is_a_problem(client: TestClient) -> None:
    problem(client.get("/nothing"), 404, "not-found")
    answer = client.delete("/things")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("what", "status", "name"),
    [
        ("gone", 404, "not-found"),
        ("away", 503, "unavailable"),
        ("refused", 502, "store-refused"),
        ("contradiction", 400, "unanswerable"),
        ("bug", 500, "failed"),
    ],
)
def test_every_error_is_a_problem(client: TestClient, what: str, status: int, name: str) -> None:
    answer = client.get(f"/raise/{what}")

    found = problem(answer, status, name)
    assert ("secret" in found["detail"]) is False
    assert answer.headers.get("retry-after") == ("7" if what == "away" else None)


def test_the_askers_own_request_id_comes_back_unless_it_is_none(client: TestClient) -> None:
    def asked(given: str) -> str:
        return str(client.get("/things", headers={"X-Request-ID": given}).headers["x-request-id"])

    assert asked("trace-17.a") == "trace-17.a"
    assert asked("two words") != "two words"
    assert asked("x" * 65) != "x" * 65
    assert asked("") != asked("")


def test_who_has_an_answer_already_is_told_so(client: TestClient) -> None:
    first = client.get("/things")

    same = client.get("/things", headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    lines = client.get("/things", headers=[("If-None-Match", '"other"'), ("If-None-Match", first.headers["etag"])])
    other = client.get("/things?limit=2", headers={"If-None-Match": first.headers["etag"]})

    assert lines.status_code == 304
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    assert "content-length" not in same.headers
    assert (other.status_code, other.json()) == (200, [0, 1])


def test_a_stream_passes_as_it_is(client: TestClient) -> None:
    answer = client.get("/stream")

    assert answer.text == "ab"
    assert "etag" not in answer.headers


def test_the_description_says_what_needs_a_key_and_how_failures_look(client: TestClient) -> None:
    told = client.get("/openapi.json").json()

    assert told["openapi"].startswith("3.1")
    assert told["security"] == [{"bearer": []}, {"apiKey": []}, {"session": []}]
    reading = told["paths"]["/things"]["get"]
    assert reading["responses"]["422"]["content"].keys() == {"application/problem+json"}
    assert {"200", "304", "401", "503", "default"} <= reading["responses"].keys()
    assert told["paths"]["/open"]["get"]["security"] == []
    assert "401" not in told["paths"]["/open"]["get"]["responses"]
    assert "HTTPValidationError" not in told["components"]["schemas"]
    assert {"Problem", "Fault"} <= told["components"]["schemas"].keys()


def test_a_socket_needs_the_key_and_a_page_of_ours(client: TestClient, stranger: TestClient) -> None:
    with client.websocket_connect(SOCKET) as socket:
        assert socket.receive_text() == "in"
    with pytest.raises(WebSocketDenialResponse) as refused, stranger.websocket_connect(SOCKET):
        pass
    assert refused.value.status_code == refused.value.json()["status"] == 401
    for origin in ("https://evil.example", "http://["):
        evil = {"Origin": origin}
        with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(SOCKET, headers=evil):
            pass
        assert refused.value.status_code == refused.value.json()["status"] == 403


def test_a_server_that_cannot_answer_a_handshake_ends_it(app: FastAPI) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1:8080")]
    scope = {"type": "websocket", "path": "/ws", "query_string": b"", "headers": headers, "extensions": {}}
    anyio.run(app, scope, receive, send)

    assert [(one["type"], one.get("code")) for one in sent] == [("websocket.close", 1008)]


def test_each_failure_that_any_operation_may_have_is_told_to_who_uses_the_api() -> None:
    told = (Path(__file__).parents[2] / "docs/how-to/use-the-api.md").read_text()

    assert [status for status in _PROBLEMS if status.isdecimal() and f"\n| {status} | " not in told] == []
    assert "no JSON" in told
