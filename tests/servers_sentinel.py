"""A Redis master, its replica and three sentinels that watch them; and a Redis that speaks TLS."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.certificates import Certificates
from tests.servers import HOST, answers, find_program, wait_until
from tests.servers_brokers import RedisServer

MASTER = "house"


def redis_cli(port: int, *words: str) -> str:
    """Return what a server answers to a command."""
    command = [str(find_program("redis-cli", "redis-tools")), "-p", str(port), *words]
    return str(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


class SentinelServer(RedisServer):
    """One sentinel. It writes what it learns into its own configuration."""

    name = "redis-sentinel"

    def __init__(self, master: RedisServer) -> None:
        super().__init__()
        self._master = master

    def prepare(self) -> None:
        """Write its first configuration: failover after a second, so that a test need not wait for thirty."""
        path = self.folder / "sentinel.conf"
        if path.exists():
            return
        lines = [
            f"port {self.port}",
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
        return redis_cli(self.port, *words)


class WatchedRedis:
    """Two Redis and three sentinels; `kill_master` lets them choose the other one."""

    def __init__(self) -> None:
        self.master = RedisServer()
        self.replica = RedisServer(
            extra=("--replicaof", f"{HOST} {self.master.port}", "--repl-diskless-sync-delay", "0")
        )
        self.sentinels = [SentinelServer(self.master) for _ in range(3)]

    @property
    def url(self) -> str:
        """The address as the settings take it."""
        return f"redis+sentinel://{','.join(f'{HOST}:{one.port}' for one in self.sentinels)}/{MASTER}/0"

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
            and answers(self.replica.port, b"INFO replication\r\n", b"$")
            and "master_link_status:up" in self._replication()
        )

    def _replication(self) -> str:
        return redis_cli(self.replica.port, "info", "replication")


class TlsRedis(RedisServer):
    """A Redis that speaks nothing but TLS."""

    def __init__(self, certificates: Certificates) -> None:
        super().__init__()
        self.certificates = certificates

    @property
    def url(self) -> str:
        """The address without a word on whom to trust."""
        return f"rediss://{HOST}:{self.port}/0"

    def command(self) -> Sequence[str | Path]:
        """Run in the foreground, on a TLS port alone."""
        files = self.certificates
        options = ("--tls-port", str(self.port), "--tls-cert-file", files.certificate, "--tls-key-file", files.key)
        more = ("--tls-ca-cert-file", files.authority, "--tls-auth-clients", "no", "--port", "0", "--bind", HOST)
        return [self._program, *options, *more, "--dir", self.folder, "--appendonly", "yes", "--save", ""]

    def is_ready(self) -> bool:
        """Say so in its log: it answers nothing without TLS."""
        return "Ready to accept connections" in self.log_tail(50)
