"""The one decision on access: may this principal do this, there? Every transport asks here, none decides by itself.

Today a key may do everything, as may whoever is at the machine itself and can read the data folder; nobody else may do
anything but ask how we are. Roles come into `authorize` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from ingestor import errors


class Action(StrEnum):
    """What somebody wants to do."""

    READ_HEALTH = "health:read"
    READ_DATA = "data:read"
    READ_CONFIG = "config:read"
    CHANGE_CONFIG = "config:change"
    READ_WEBHOOKS = "webhooks:read"
    CHANGE_WEBHOOKS = "webhooks:change"
    MANAGE_WORKERS = "workers:manage"
    DELETE_DATA = "data:delete"
    EXPORT_DATA = "data:export"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `name` stands in the audit: of a key it is the key's name, never the key.

    `session` is a browser that has shown the key, `local` a user of this machine at the command line, `schedule` what
    was set to be done.
    """

    kind: Literal["anonymous", "key", "session", "local", "schedule"]
    name: str
    #: Of a session: by what it is known where it is ended, and when it ends by itself (Unix seconds).
    mark: str = field(default="", compare=False)
    ends_s: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """What it is about: one home, or all of them (None)."""

    home: str | None = None


ANONYMOUS: Final = Principal("anonymous", "")
EVERYWHERE: Final = Scope()
#: What anybody may do: whoever watches over us must not need a secret for it.
_OPEN: Final = frozenset({Action.READ_HEALTH})


def authorize(principal: Principal, action: Action, scope: Scope = EVERYWHERE) -> None:
    """Let it pass, or raise: Unauthenticated where nobody knows who asks, NotAllowed where they may not."""
    del scope  # one key for all homes, so far
    if action in _OPEN or principal.kind != "anonymous":
        return
    raise errors.Unauthenticated
