"""Posts a delivery: one try, no redirects, and to no address that may not be reached; decides nothing about it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore

from ingestor.webhooks.addresses import Reach
from ingestor.webhooks.model import Answer

#: Of an answer only its status counts; so much of it is read, so that the connection can be used again (bytes).
_MOST_READ: Final = 65_536
_IDLE_CONNECTIONS: Final = 50
_IDLE_S: Final = 30.0
_USER_AGENT: Final = "HA-Ingestor-Webhooks/1"


class NotReachable(OSError):
    """No address of a receiver may be connected to."""


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects only where that is allowed.

    A name is resolved here, and what it resolves to is checked and connected to: a name that means another address
    by then leads nowhere else.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- the library's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers, of those that are allowed. Raises NotReachable."""
        found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        allowed = [one for one in addresses if self._reach.allows(one)]
        if not allowed:
            raise NotReachable("private addresses are not reached (webhooks.allow_private, webhooks.allow_networks)")
        failed: Exception | None = None
        for address in allowed:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed or NotReachable("there is no address")


class Sender:
    """Posts for all webhooks of a process; connections are used again. For one event loop."""

    def __init__(self, reach: Reach, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=None,
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_S,
            network_backend=GuardedBackend(reach),
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return what the receiver answers, or why it does not; never raises, takes no longer than the time-out."""
        sent = {"host": urlsplit(url).netloc, "user-agent": _USER_AGENT, **headers}
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(url, sent, body)
        except TimeoutError:
            return Answer(error=f"no answer within {self._timeout_s:g} s")
        except NotReachable as error:
            return Answer(error=str(error))
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError, ValueError) as error:
            return Answer(error=f"no answer: {_words(error)}")

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        length = {"content-length": str(len(body))}
        async with self._pool.stream("POST", url, headers=[*{**headers, **length}.items()], content=body) as answer:
            read = 0
            async for piece in answer.aiter_stream():
                read += len(piece)
                if read > _MOST_READ:
                    break
        taken = 200 <= answer.status < 300  # noqa: PLR2004 -- the range of success
        words = "" if taken else f"answers {answer.status}"
        if 300 <= answer.status < 400:  # noqa: PLR2004 -- the range of redirects
            words += ": redirects are not followed"
        return Answer(answer.status, words, _retry_after_s(answer.headers, time.time()))

    async def close(self) -> None:
        """End all connections."""
        await self._pool.aclose()


def _words(error: Exception) -> str:
    # Not all of its words: they may have the address, and that may hold a key.
    known = {ssl.SSLCertVerificationError: "its certificate is not trusted", socket.gaierror: "its name is not known"}
    causes = (error, error.__cause__, error.__context__)
    return next((words for kind, words in known.items() for one in causes if isinstance(one, kind)), _named(error))


def _named(error: Exception) -> str:
    return (
        f"{type(error).__name__}: {error}"[:200] if isinstance(error, httpcore.ConnectError) else type(error).__name__
    )


def _retry_after_s(headers: Iterable[tuple[bytes, bytes]], now_s: float) -> float:
    """Return for how long the receiver asks us to wait: seconds, or until a date; 0 where it does not."""
    told = next(
        (value.decode("ascii", "replace").strip() for name, value in headers if name.lower() == b"retry-after"), ""
    )
    if told.isascii() and told.isdecimal():
        return float(told[:9])
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - now_s)
    except (ValueError, TypeError, OverflowError):
        return 0.0
