"""Turns the address that a person types into those of Home Assistant's WebSocket and REST API; opens nothing."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from ingestor import errors

_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_WEB: Final = {"ws": "http", "wss": "https"}
_API: Final = "/api"
_WEBSOCKET: Final = "/websocket"
_PATH: Final = _API + _WEBSOCKET


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


def rest_url(url: str) -> str:
    """Return where the REST API begins, with no slash at the end. Raise InvalidSettings if there is no host in it.

    It lies beside the WebSocket API: `http://supervisor/core/api` for an add-on. A password in the address is left out,
    since it would be sent in the place of the token.
    """
    parts = urlsplit(websocket_url(url))
    beside = parts.path.removesuffix(_WEBSOCKET).removesuffix(_API)
    return urlunsplit((_WEB[parts.scheme], parts.netloc, beside + _API, "", ""))


def _has_host(parts: SplitResult) -> bool:
    try:
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _path(parts: SplitResult) -> str:
    path = parts.path.rstrip("/")
    if path.endswith(_WEBSOCKET):
        return path
    if parts.hostname == "supervisor":
        return f"/core{_WEBSOCKET}"
    return path.removesuffix(_API) + _PATH
