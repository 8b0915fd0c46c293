"""What each WebSocket command may carry, checked with Home Assistant's words; runs no command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ingestor.demo.client import Client
from ingestor.demo.home import DemoHome
from ingestor.demo.registry import RefusedError

Message = dict[str, Any]
Handler = Callable[[DemoHome, Client, Message], None]


@dataclass(frozen=True, slots=True)
class Command:
    """What a command needs: a handler, its keys with their types, and maybe an admin."""

    handler: Handler
    required: dict[str, type] = field(default_factory=dict)
    optional: dict[str, type | tuple[type, ...]] = field(default_factory=dict)
    admin: bool = False
    since: tuple[int, int] = (0, 0)


def check(command: Command, client: Client, message: Message) -> None:
    """Raise what Home Assistant's schema would."""
    if command.admin and not client.is_admin:
        raise RefusedError("unauthorized", "Unauthorized")
    for key in command.required:
        if key not in message:
            raise RefusedError("invalid_format", f"required key not provided @ data['{key}']. Got None")
    known = {"id": int, "type": str, **command.required, **command.optional}
    for key, value in message.items():
        if key not in known:
            raise RefusedError("invalid_format", f"extra keys not allowed @ data['{key}']. Got {value!r}")
        wanted = known[key]
        if not isinstance(value, wanted) and not (wanted is bool and value in (0, 1)):
            name = wanted.__name__ if isinstance(wanted, type) else wanted[0].__name__
            text = f"expected {name} for dictionary value @ data['{key}']. Got {value!r}"
            raise RefusedError("invalid_format", text)
