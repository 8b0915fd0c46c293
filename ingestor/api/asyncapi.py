"""The description of the WebSocket (AsyncAPI 3.0), made from the models of what is said there; adds no route."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ingestor.api.v1.socket_messages import FROM_CLIENT, FROM_SERVER

PATH: Final = "/api/v1/ws"
_ABOUT: Final = """\
What is written, told as it happens. A key opens it: `Authorization: Bearer KEY` or `X-API-Key: KEY` at the handshake,
in a browser its session or `?ticket=` (`/openapi.json`). Frames are JSON text. A client subscribes, under names of its
own, and hears in frames of `events`; each has the cursor with which to go on after a break. Too slow a client is told
how many messages it `missed`, or is closed with 1013 where it asked for that; 1008 ends a connection that says too
much, 1009 one that says too long a thing."""


def description() -> dict[str, Any]:
    """Return the document."""
    _, told = models_json_schema(
        [(model, "serialization") for model in (*FROM_CLIENT, *FROM_SERVER)],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "HA-Ingestor, live", "version": version("ha-ingestor"), "description": _ABOUT},
        "defaultContentType": "application/json",
        "servers": {"here": {"host": "127.0.0.1:8080", "protocol": "ws", "security": [_ref("securitySchemes", "key")]}},
        "channels": {
            "live": {
                "address": PATH,
                "messages": {_name(model): _ref("messages", _name(model)) for model in (*FROM_CLIENT, *FROM_SERVER)},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {
            "hear": _operation("receive", "What a client says.", FROM_CLIENT),
            "tell": _operation("send", "What a client hears.", FROM_SERVER),
        },
        "components": {
            "messages": {_name(model): _message(model) for model in (*FROM_CLIENT, *FROM_SERVER)},
            "schemas": told["$defs"],
            "securitySchemes": {"key": {"type": "httpApiKey", "in": "header", "name": "X-API-Key"}},
        },
    }


def _operation(action: str, summary: str, models: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    messages = [{"$ref": f"#/channels/live/messages/{_name(model)}"} for model in models]
    return {"action": action, "channel": {"$ref": "#/channels/live"}, "summary": summary, "messages": messages}


def _message(model: type[BaseModel]) -> dict[str, Any]:
    return {"summary": (model.__doc__ or "").strip(), "payload": _ref("schemas", model.__name__)}


def _name(model: type[BaseModel]) -> str:
    """Return what the message is called on the wire: its `type`."""
    allowed: tuple[str, ...] = model.model_fields["type"].annotation.__args__  # type: ignore[union-attr]
    return allowed[0]


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}
