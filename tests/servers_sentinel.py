"""A Redis master, its replica and three sentinels that watch them; and a Redis that speaks TLS."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.certificates import Certificates
from tests.servers import HOST, find_program, wait_until
from tests.servers_brokers import RedisServer

MASTER = "house"


def redis_cli(port: int, *words: str, certificates: Certificates | None = None) -> str:
    """Return what a server answers to a command; with certificates, over TLS."""
    tls = [] if certificates is None else ["--tls", "--cacert", str(certificates.authority)]
    command = [str(find_program("redis-cli", "redis-tools")), "-p", str(port), *tls, *words]
    return str(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


def tls_options(certificates: Certificates, port: int) -> dict[str, str]:
    """Return what has a Redis or a sentinel speak nothing but TLS, to everybody."""
    return {
        "port": "0",
        "tls-port": str(port),
        "tls-cert-file": str(certificates.certificate),
        "tls-key-file": str(certificates.key),
        "tls-ca-cert-file": str(certificates.authority),
        "tls-auth-clients": "no",
        "tls-replication": "yes",
    }


class SentinelServer(RedisServer):
    """One sentinel. It writes what it learns into its own configuration."""

    name = "redis-sentinel"

    def __init__(self, master: RedisServer, certificates: Certificates | None = None) -> None:
        super().__init__()
        self._master = master
        self._certificates = certificates

    def prepare(self) -> None:
        """Write its first configuration: failover after a second, so that a test need not wait for thirty."""
        path = self.folder / "sentinel.conf"
        if path.exists():
            return
        plain = {"port": str(self.port)}
        options = plain if self._certificates is None else tls_options(self._certificates, self.port)
        lines = [
            *(f"{name} {value}" for name, value in options.items()),
            f"bind {HOST}",
            f"dir {self.folder}",
            f"sentinel monitor {MASTER} {HOST} {self._master.port} 2",
            f"sentinel down-after-milliseconds {MASTER} 1000",
            f"sentinel failover-timeout {MASTER} 5000",
        ]
        path.write_text("\n".join(lines) + "\n")

    def command(self) -> Sequence[str | Path]:
        """Run in the foreground."""
        return [self._program, self.folder / "sentinel.conf", "--sentinel"]

    def ask(self, *words: str) -> str:
        """Return what it answers to a command."""
        return redis_cli(self.port, *words, certificates=self._certificates)

    def is_ready(self) -> bool:
        """Answer PING, in its own way of speaking."""
        return super().is_ready() if self._certificates is None else "PONG" in self.ask("ping")


class WatchedRedis:
    """Two Redis and three sentinels that choose the other one when the first dies; with certificates, all over TLS."""

    def __init__(self, certificates: Certificates | None = None) -> None:
        self._certificates = certificates
        self.master = self._redis()
        self.replica = self._redis("--replicaof", f"{HOST} {self.master.port}", "--repl-diskless-sync-delay", "0")
        self.sentinels = [SentinelServer(self.master, certificates) for _ in range(3)]

    def _redis(self, *extra: str) -> RedisServer:
        return RedisServer(extra=extra) if self._certificates is None else TlsRedis(self._certificates, extra=extra)

    @property
    def url(self) -> str:
        """The address as the settings take it; with TLS, without a word on whom to trust."""
        scheme = "redis+sentinel" if self._certificates is None else "rediss+sentinel"
        return f"{scheme}://{','.join(f'{HOST}:{one.port}' for one in self.sentinels)}/{MASTER}/0"

    def __enter__(self) -> Self:
        try:
            for server in (self.master, self.replica, *self.sentinels):
                server.start()
            wait_until(self._agree, timeout_s=60, what="the sentinels know each other and the replica")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in (*self.sentinels, self.replica, self.master):
            server.kill()
            server.close()

    def failed_over(self) -> bool:
        """Tell whether all sentinels name the replica as the master."""
        asked = ("sentinel", "get-master-addr-by-name", MASTER)
        return all(str(self.replica.port) in one.ask(*asked).split() for one in self.sentinels)

    def _agree(self) -> bool:
        told = [one.ask("sentinel", "master", MASTER).split() for one in self.sentinels]
        return (
            all(
                one and one[one.index("num-slaves") + 1] == "1" and one[one.index("num-other-sentinels") + 1] == "2"
                for one in told
            )
            and "master_link_status:up" in self._replication()
        )

    def _replication(self) -> str:
        return redis_cli(self.replica.port, "info", "replication", certificates=self._certificates)


class TlsRedis(RedisServer):
    """A Redis that speaks nothing but TLS."""

    def __init__(self, certificates: Certificates, *, extra: Sequence[str] = ()) -> None:
        super().__init__(extra=extra)
        self.certificates = certificates

    @property
    def url(self) -> str:
        """The address without a word on whom to trust."""
        return f"rediss://{HOST}:{self.port}/0"

    def command(self) -> Sequence[str | Path]:
        """Run in the foreground, on a TLS port alone."""
        options = tls_options(self.certificates, self.port)
        tls = [part for name, value in options.items() for part in (f"--{name}", value)]
        own = ("--bind", HOST, "--dir", self.folder, "--appendonly", "yes", "--save", "")
        return [self._program, *tls, *own, *self._extra]

    def is_ready(self) -> bool:
        """Say so in its log: it answers nothing without TLS."""
        return "Ready to accept connections" in self.log_tail(50)
