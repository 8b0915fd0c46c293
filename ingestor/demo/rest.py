"""The few answers of Home Assistant's REST API that the demo server gives, on the port of its WebSocket API."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import orjson

from ingestor.demo.home import DemoHome

#: Status, content type, body.
Answer = tuple[HTTPStatus, str, bytes]

_SCENE = "config/scene/config/"
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


def answer(home: DemoHome, path: str, headers: Mapping[str, str], tokens: Mapping[str, str]) -> Answer:
    """Return the answer to a GET of a path."""
    path = path.partition("?")[0]
    if not path.startswith("/api/"):
        return HTTPStatus.NOT_FOUND, _TEXT, b"404: Not Found"
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or token not in tokens:
        return HTTPStatus.UNAUTHORIZED, _TEXT, b"401: Unauthorized"
    name = path.removeprefix("/api/")
    if name.startswith(_SCENE):
        return _scene(home, name.removeprefix(_SCENE), is_admin=tokens[token] == "admin")
    return _known(home, name)


def _scene(home: DemoHome, item_id: str, *, is_admin: bool) -> Answer:
    if not is_admin:
        return HTTPStatus.UNAUTHORIZED, _TEXT, b"401: Unauthorized"
    for scene in home.routines.scenes:
        if scene.item_id == item_id:
            return HTTPStatus.OK, _JSON, orjson.dumps(scene.as_config())
    return HTTPStatus.NOT_FOUND, _JSON, b'{"message":"Resource not found"}'


def _known(home: DemoHome, name: str) -> Answer:
    if name == "":
        return HTTPStatus.OK, _JSON, b'{"message":"API running."}'
    if name == "config":
        return HTTPStatus.OK, _JSON, orjson.dumps(home.config())
    if name == "states":
        return HTTPStatus.OK, _JSON, b"[" + b",".join(home.states_json()) + b"]"
    kind, _, entity_id = name.partition("/")
    if kind == "states":
        state = home.bus.states.get(entity_id)
        if state is None:
            return HTTPStatus.NOT_FOUND, _JSON, b'{"message":"Entity not found."}'
        return HTTPStatus.OK, _JSON, state.as_json()
    return HTTPStatus.NOT_FOUND, _TEXT, b"404: Not Found"
