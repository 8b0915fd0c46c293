"""The state server (a Redis): how to connect, and how its errors become ours; knows nothing of what is kept there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import redis
from redis import exceptions as refused
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from ingestor import errors
from ingestor.queue.state_client import StateClient

#: Retries inside one call: enough for a dropped idle connection. Waiting out an outage is the caller's business.
_RETRIES: Final = 2
_CONNECT_TIMEOUT_S: Final = 2.0
_TIMEOUT_S: Final = 5.0
_AWAY: Final = (
    refused.ConnectionError,
    refused.TimeoutError,
    refused.BusyLoadingError,
    refused.ReadOnlyError,
    refused.OutOfMemoryError,  # type: ignore[attr-defined]  # the stubs (types-redis) are older than redis-py
)
#: Answers that say "not now": the same call may succeed later. Any other ResponseError is a fault of ours.
_NOT_NOW: Final = ("OOM", "MISCONF", "LOADING", "READONLY", "NOREPLICAS", "BUSY", "MASTERDOWN", "CLUSTERDOWN")


def connect_state(url: str) -> redis.Redis[bytes]:
    """Return a client for redis://, rediss:// or unix:// URLs; it connects at its first call."""
    return StateClient.from_url(
        url,
        decode_responses=False,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_timeout=_TIMEOUT_S,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), _RETRIES),
        retry_on_error=[refused.ConnectionError, refused.TimeoutError],
        health_check_interval=30,
    )


@contextmanager
def state_errors() -> Iterator[None]:
    """Turn what redis-py raises into StateUnavailable (try again) or AuthenticationRefused (do not)."""
    try:
        yield
    except (refused.AuthenticationError, refused.NoPermissionError) as error:
        raise errors.AuthenticationRefused(f"the state server refuses our credentials: {error}") from error
    except _AWAY as error:
        raise errors.StateUnavailable(f"{type(error).__name__}: {error}") from error
    except refused.ResponseError as error:
        # A key of another type that could not be set aside: nothing of ours may end for it.
        if str(error).startswith(_NOT_NOW) or "WRONGTYPE" in str(error):
            raise errors.StateUnavailable(str(error)) from error
        raise
    except refused.RedisError as error:
        raise errors.StateUnavailable(f"{type(error).__name__}: {error}") from error
