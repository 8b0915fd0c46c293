"""The state server (a Redis): how to connect, and how its errors become ours; knows nothing of what is kept there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis
from redis import exceptions as refused
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from ingestor import errors, redis_sentinel
from ingestor.queue.state_client import StateClient

#: Retries inside one call: enough for a dropped idle connection. Waiting out an outage is the caller's business.
_RETRIES: Final = 2
_CONNECT_TIMEOUT_S: Final = 2.0
_TIMEOUT_S: Final = 5.0
_HURRIED_TIMEOUT_S: Final = 0.5
#: How long a sentinel may take: the next one is asked then.
_ASKING_S: Final = 1.0
_AWAY: Final = (
    refused.ConnectionError,
    refused.TimeoutError,
    refused.BusyLoadingError,
    refused.ReadOnlyError,
    refused.OutOfMemoryError,  # type: ignore[attr-defined]  # the stubs (types-redis) are older than redis-py
)
#: Answers that say "not now": the same call may succeed later. Any other ResponseError is a fault of ours.
_NOT_NOW: Final = ("OOM", "MISCONF", "LOADING", "READONLY", "NOREPLICAS", "BUSY", "MASTERDOWN", "CLUSTERDOWN")


def connect_state(url: str, *, text: bool = False, hurried: bool = False) -> redis.Redis[bytes]:
    """Return a client for redis://, redis+sentinel:// (also with TLS) or unix:// URLs; it connects at its first call.

    With `text`, answers are text. A `hurried` one is for what may be left undone: it gives up after a second.
    """
    timeout_s = _HURRIED_TIMEOUT_S if hurried else _TIMEOUT_S
    options: dict[str, Any] = {
        "decode_responses": text,
        "socket_connect_timeout": min(_CONNECT_TIMEOUT_S, timeout_s),
        "socket_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 1) if hurried else Retry(ExponentialBackoff(cap=0.2, base=0.02), _RETRIES),
        "retry_on_error": [refused.ConnectionError] if hurried else [refused.ConnectionError, refused.TimeoutError],
        "health_check_interval": 30,
    }
    behind = redis_sentinel.parse(url)
    if behind is None:
        return StateClient.from_url(url, **options)
    # No retries: there are other sentinels to ask.
    asking = {"socket_timeout": _ASKING_S, "socket_connect_timeout": _ASKING_S, "retry": Retry(NoBackoff(), 0)}
    sentinels = Sentinel(list(behind.sentinels), sentinel_kwargs={**asking, **behind.encryption()})
    options |= {**behind.credentials(), **behind.encryption()}
    found: redis.Redis[bytes] = sentinels.master_for(behind.master, redis_class=StateClient, db=behind.db, **options)
    return found


@contextmanager
def state_errors() -> Iterator[None]:
    """Turn what redis-py raises into StateUnavailable (try again) or AuthenticationRefused (do not)."""
    try:
        yield
    except (refused.AuthenticationError, refused.NoPermissionError) as error:
        raise errors.AuthenticationRefused(f"the state server refuses our credentials: {error}") from error
    except _AWAY as error:
        raise errors.StateUnavailable(redis_sentinel.told(error)) from error
    except refused.ResponseError as error:
        # A key of another type that could not be set aside: nothing of ours may end for it.
        if str(error).startswith(_NOT_NOW) or "WRONGTYPE" in str(error):
            raise errors.StateUnavailable(str(error)) from error
        raise
    except refused.RedisError as error:
        raise errors.StateUnavailable(redis_sentinel.told(error)) from error
