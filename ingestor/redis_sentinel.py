"""Addresses of a Redis behind sentinels; connects nowhere.

They are written `redis+sentinel://[user:password@]host:port,host:port,host:port/master[/db]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

SCHEME: Final = "redis+sentinel://"
_PORT: Final = 26379


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """Which sentinels to ask, for which master; user and password are the master's."""

    sentinels: tuple[tuple[str, int], ...]
    master: str
    db: int = 0
    user: str | None = None
    password: str | None = None

    def credentials(self) -> dict[str, Any]:
        """Return user and password as redis-py takes them."""
        found = {"username": self.user, "password": self.password}
        return {name: value for name, value in found.items() if value}

    def for_kombu(self) -> str:
        """Return the address as kombu takes it: one for each sentinel."""
        who = f"{quote(self.user or '', safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        return ";".join(f"sentinel://{who}{host}:{port}/{self.db}" for host, port in self.sentinels)


def parse(url: str) -> SentinelAddress | None:
    """Return the address; None where this is none of sentinels. Raises ValueError that says what is wrong with it."""
    if not url.startswith(SCHEME):
        return None
    who, _, where = url.removeprefix(SCHEME).rpartition("@")
    hosts, _, path = where.partition("/")
    master, _, db = path.partition("/")
    user, _, password = who.partition(":")
    if not master:
        raise ValueError("names no master, as in redis+sentinel://host:26379,host:26379/mymaster/0")
    if db and not db.isdecimal():
        raise ValueError(f"{db!r} is not the number of a database")
    sentinels = tuple(_sentinel(host) for host in hosts.split(","))
    return SentinelAddress(sentinels, unquote(master), int(db or 0), unquote(user) or None, unquote(password) or None)


def check(url: str) -> str:
    """Return the URL, or raise ValueError where it is one of sentinels and wrong."""
    parse(url)
    return url


def told(error: Exception) -> str:
    """Return what an error says; redis-py lists the whole inside of each sentinel's connection."""
    return f"{type(error).__name__}: {str(error).partition(' : <redis')[0]}"


def _sentinel(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if ":" in text else (text, "", str(_PORT))
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:  # noqa: PLR2004 -- the ports there are
        raise ValueError(f"{text!r} is not host:port of a sentinel")
    return host, int(port)
