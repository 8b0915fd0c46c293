"""Turns the address that a person types into the one of Home Assistant's WebSocket API; opens nothing."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from ingestor import errors

_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_PATH: Final = "/api/websocket"


def websocket_url(url: str) -> str:
    """Return the address of the WebSocket API. Raise InvalidSettings if there is no host in it.

    A path that ends in `/websocket` is taken as it is (`ws://supervisor/core/websocket`); another one is where
    a proxy put Home Assistant.
    """
    text = url.strip()
    parts = urlsplit(text if "://" in text else f"http://{text}")
    scheme = _SCHEMES.get(parts.scheme.lower())
    if scheme is None or not _has_host(parts):
        raise errors.InvalidSettings(
            f"homeassistant.url is {url!r}; expected an address such as http://homeassistant.local:8123"
        )
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((scheme, host, _path(parts), "", ""))


def _has_host(parts: SplitResult) -> bool:
    try:
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _path(parts: SplitResult) -> str:
    path = parts.path.rstrip("/")
    if path.endswith("/websocket"):
        return path
    if parts.hostname == "supervisor":
        return "/core/websocket"
    return path.removesuffix("/api") + _PATH
