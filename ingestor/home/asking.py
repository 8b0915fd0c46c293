"""A connection for commands to a home's Home Assistant, unless it has refused these very credentials before."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from ingestor import errors
from ingestor.home.requests import remember_refusal, was_refused
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.settings import HomeAssistantSettings, HomeSettings

if TYPE_CHECKING:
    import redis


#: Connects at the entry of what it returns.
Connect = Callable[[HomeAssistantSettings], AbstractContextManager[HomeAssistantClient]]


def within(answer_within_s: float) -> Connect:
    """Return what connects, and waits for an answer no longer than that."""
    return lambda settings: HomeAssistantClient(settings, answer_within_s=answer_within_s)


@contextlib.contextmanager
def ask_home(home: HomeSettings, state: redis.Redis[bytes], connect: Connect) -> Iterator[HomeAssistantClient]:
    """Connect, unless that was refused before: Home Assistant bans addresses that keep trying a wrong token.

    Raises AuthenticationRefused, HomeAssistantUnavailable, StateUnavailable.
    """
    token = home.homeassistant.token
    secret = f"{home.homeassistant.url} {token.get_secret_value() if token else ''}"
    credentials = hashlib.sha256(secret.encode()).hexdigest()[:32]
    if was_refused(state, home.name, credentials):
        raise errors.AuthenticationRefused(
            f"Home Assistant refused the token of {home.name!r} before; it is not tried again until it changes"
        )
    try:
        with connect(home.homeassistant) as client:
            yield client
    except errors.AuthenticationRefused:
        remember_refusal(state, home.name, credentials)
        raise
