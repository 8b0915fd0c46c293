"""Reads from Home Assistant what a home's facts need beside its registries; keeps nothing, decides nothing.

What a token may not see, or this Home Assistant does not know, is left out; the first is named in `hidden`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog

from ingestor import errors

Row = Mapping[str, Any]
_log = structlog.get_logger(__name__)
_MAY_NOT: Final = "unauthorized"


class Commands(Protocol):
    """What reading needs of a client."""

    def command(self, type: str, **fields: Any) -> Any:  # noqa: A002 - it is called so in Home Assistant's messages
        """Send a command and return its result. Raises CommandRefused, HomeAssistantUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What one home answered beside its registries.

    None: not known, because this token may not see it or this Home Assistant has no such command. `starting`: states
    and integrations are still missing. `hidden` names what the token may not see.
    """

    config: Row = field(default_factory=dict)
    config_entries: Sequence[Row] | None = None
    manifests: Sequence[Row] | None = None
    users: Sequence[Row] | None = None
    hidden: Sequence[str] = ()

    @property
    def starting(self) -> bool:
        """Tell whether Home Assistant has not finished its start."""
        return str(self.config.get("state", "RUNNING")) != "RUNNING"


class Asker:
    """Asks, and takes a refusal for an answer: `hidden` is what this token may not see."""

    def __init__(self, client: Commands) -> None:
        self._client = client
        self.hidden: list[str] = []

    def ask(self, name: str, command: str, **fields: Any) -> Any:
        """Return the answer, None where there is none. `name` is how `hidden` calls it."""
        try:
            return self._client.command(command, **fields)
        except errors.CommandRefused as refusal:
            if refusal.reason == _MAY_NOT and name not in self.hidden:
                self.hidden.append(name)
            _log.debug("not_answered", command=command, reason=refusal.reason)
            return None

    def ask_rows(self, name: str, command: str, **fields: Any) -> list[Row] | None:
        """Return the rows of the answer, None where there is none."""
        answer = self.ask(name, command, **fields)
        return [row for row in answer if isinstance(row, dict)] if isinstance(answer, list) else None


def read_facts(client: Commands) -> Reading:
    """Ask for everything that facts are made from, beside the registries. Raises HomeAssistantUnavailable."""
    asker = Asker(client)
    config = asker.ask("configuration", "get_config")
    return Reading(
        config=config if isinstance(config, dict) else {},
        config_entries=asker.ask_rows("config entries", "config_entries/get"),
        manifests=asker.ask_rows("manifests", "manifest/list"),
        users=asker.ask_rows("users", "config/auth/list"),
        hidden=tuple(asker.hidden),
    )
