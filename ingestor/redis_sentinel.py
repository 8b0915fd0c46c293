"""Addresses of a Redis behind sentinels; connects nowhere.

They are written `redis+sentinel://[user:password@]host:port,host:port,host:port/master[/db]`. With `rediss+sentinel://`
sentinels, master and replicas speak TLS, and all have certificates of the same authority: `?ssl_ca_certs=/path/ca.crt`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, quote, unquote

SCHEME: Final = "redis+sentinel"
TLS_SCHEME: Final = "rediss+sentinel"
_PORT: Final = 26379
#: What an address with TLS may say, in redis-py's words.
_TLS_WORDS: Final = ("ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile")
_CHECKED: Final = ("required", "optional", "none")


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """Which sentinels to ask, for which master; user and password are the master's.

    `tls`: how to check certificates and which one to show, by redis-py's names; None: no TLS.
    """

    sentinels: tuple[tuple[str, int], ...]
    master: str
    db: int = 0
    user: str | None = None
    password: str | None = None
    tls: dict[str, str] | None = None

    def credentials(self) -> dict[str, Any]:
        """Return user and password as redis-py takes them."""
        found = {"username": self.user, "password": self.password}
        return {name: value for name, value in found.items() if value}

    def encryption(self) -> dict[str, Any]:
        """Return what redis-py is told for a connection to a sentinel or to a server behind them."""
        return {} if self.tls is None else {"ssl": True, **self.tls}

    def for_kombu(self) -> str:
        """Return the address as kombu takes it: one for each sentinel."""
        who = f"{quote(self.user or '', safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        return ";".join(f"sentinel://{who}{host}:{port}/{self.db}" for host, port in self.sentinels)


def parse(url: str) -> SentinelAddress | None:
    """Return the address; None where this is none of sentinels. Raises ValueError that says what is wrong with it."""
    scheme, _, rest = url.partition("://")
    if scheme not in (SCHEME, TLS_SCHEME):
        return None
    who, _, where = rest.rpartition("@")
    where, _, query = where.partition("?")
    hosts, _, path = where.partition("/")
    master, _, db = path.partition("/")
    user, _, password = who.partition(":")
    if not master:
        raise ValueError("names no master, as in redis+sentinel://host:26379,host:26379/mymaster/0")
    if db and not db.isdecimal():
        raise ValueError(f"{db!r} is not the number of a database")
    sentinels = tuple(_sentinel(host) for host in hosts.split(","))
    tls = _tls(query, is_on=scheme == TLS_SCHEME)
    return SentinelAddress(
        sentinels, unquote(master), int(db or 0), unquote(user) or None, unquote(password) or None, tls
    )


def _tls(query: str, *, is_on: bool) -> dict[str, str] | None:
    said = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
    if said and not is_on:
        raise ValueError(f"says {next(iter(said))} and no TLS: that is {TLS_SCHEME}://")
    if unknown := sorted(said.keys() - set(_TLS_WORDS)):
        raise ValueError(f"says {unknown[0]}, which is none of {', '.join(_TLS_WORDS)}")
    if said.get("ssl_cert_reqs", "required") not in _CHECKED:
        raise ValueError(f"ssl_cert_reqs is one of {', '.join(_CHECKED)}")
    return {"ssl_cert_reqs": "required", **said} if is_on else None


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
