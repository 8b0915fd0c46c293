"""The real databases of the tests: InfluxDB 1.6, VictoriaMetrics, PostgreSQL. Says how each is started, not more."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers import HOST, Server, find_program, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def get(url: str, *, data: bytes | None = None) -> int:
    """Return the HTTP status of a request, 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, data=data, timeout=10) as response:
            response.read()  # InfluxDB gives up a statement whose asker hangs up early, after its 200
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


class InfluxDB(Server):
    """Debian's InfluxDB 1.6."""

    name = "influxdb"

    def __init__(self, folder: Path | None = None, *, settings: Mapping[str, str] | None = None) -> None:
        self._program = find_program("influxd", "influxdb")
        super().__init__(folder)
        self._rpc_port = free_port()
        #: What a (re)start takes.
        self.settings = settings or {}

    @property
    def url(self) -> str:
        """The address of its HTTP interface."""
        return f"http://{HOST}:{self.port}"

    def environment(self) -> Mapping[str, str]:
        """Set it up: `INFLUXDB_SECTION_KEY` overrides every default; `settings` come last."""
        return {
            "INFLUXDB_REPORTING_DISABLED": "true",
            "INFLUXDB_BIND_ADDRESS": f"{HOST}:{self._rpc_port}",
            "INFLUXDB_META_DIR": str(self.folder / "meta"),
            "INFLUXDB_DATA_DIR": str(self.folder / "data"),
            "INFLUXDB_DATA_WAL_DIR": str(self.folder / "wal"),
            "INFLUXDB_DATA_QUERY_LOG_ENABLED": "false",
            "INFLUXDB_MONITOR_STORE_ENABLED": "false",
            "INFLUXDB_HTTP_BIND_ADDRESS": f"{HOST}:{self.port}",
            "INFLUXDB_HTTP_LOG_ENABLED": "false",
            **self.settings,
        }

    def prepare(self) -> None:
        """Write an empty configuration, so that the machine's own is not read."""
        (self.folder / "influxdb.conf").write_text("")

    def command(self) -> Sequence[str | Path]:
        """Run in the foreground."""
        return [self._program, "run", "-config", self.folder / "influxdb.conf"]

    def is_ready(self) -> bool:
        """Answer a ping."""
        return get(f"{self.url}/ping") == 204

    def create_database(self, name: str) -> str:
        """Make an empty database, in place of one of that name, and return the name."""
        for statement in (f'DROP DATABASE "{name}"', f'CREATE DATABASE "{name}"'):
            query = urllib.parse.urlencode({"q": statement}).encode()
            status = get(f"{self.url}/query", data=query)
            if status != 200:
                raise RuntimeError(f"InfluxDB answered {status} to {statement}")
        return name


class VictoriaMetrics(Server):
    """Debian's VictoriaMetrics: proves the request of `/api/v2/write`, not the answers."""

    name = "victoria-metrics"

    def __init__(self, folder: Path | None = None, *, extra: Sequence[str] = ()) -> None:
        self._program = find_program("victoria-metrics", "victoria-metrics")
        super().__init__(folder)
        self._extra = extra

    @property
    def url(self) -> str:
        """The address of its HTTP interface."""
        return f"http://{HOST}:{self.port}"

    def command(self) -> Sequence[str | Path]:
        """Run in the foreground, keeping what is old as well."""
        return [
            self._program,
            f"-httpListenAddr={HOST}:{self.port}",
            f"-storageDataPath={self.folder / 'data'}",
            "-retentionPeriod=100y",
            "-memory.allowedBytes=200MB",
            *self._extra,
        ]

    def is_ready(self) -> bool:
        """Answer the health check."""
        return get(f"{self.url}/health") == 200

    def flush(self) -> None:
        """Ask it to make what was written visible to queries, which it does a moment later."""
        get(f"{self.url}/internal/force_flush")


class PostgreSQL(Server):
    """A PostgreSQL cluster of its own, under the user postgres where we are root."""

    name = "postgresql"
    poll_every_s = 0.1
    stop_signal = signal.SIGINT  # "fast": does not wait for clients to leave

    def __init__(self, folder: Path | None = None) -> None:
        binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
        # `.resolve()`: what lies on PATH may be a link to the folder where the other programs are.
        self._binaries = find_program("postgres", "postgresql", [str(path) for path in binaries]).resolve().parent
        super().__init__(folder)

    @property
    def url(self) -> str:
        """The address of the default database, as SQLAlchemy takes it."""
        return f"postgresql+psycopg://postgres@{HOST}:{self.port}/postgres"

    def user(self) -> str | None:
        """PostgreSQL refuses to run as root."""
        return "postgres" if os.geteuid() == 0 else None

    def prepare(self) -> None:
        """Make the cluster once."""
        if (self.folder / "data").exists():
            return
        if (user := self.user()) is not None:
            shutil.chown(self.folder, user)
        options = ["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        with self.log_path.open("ab") as log:
            subprocess.run(
                [self._binaries / "initdb", *options],
                cwd=self.folder,
                user=user,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=True,
            )

    def command(self) -> Sequence[str | Path]:
        """Run in the foreground; no fsync, since the machine itself does not fall."""
        where: list[str | Path] = ["-D", "data", "-h", HOST, "-p", str(self.port), "-k", self.folder]
        return [self._binaries / "postgres", *where, "-c", "fsync=off"]

    def is_ready(self) -> bool:
        """Take connections."""
        question = [str(self._binaries / "pg_isready"), "-q", "-h", HOST, "-p", str(self.port)]
        return subprocess.run(question, check=False).returncode == 0

    def create_database(self, name: str) -> str:
        """Make an empty database and return its address."""
        create = [str(self._binaries / "createdb"), "-h", HOST, "-p", str(self.port), "-U", "postgres", name]
        subprocess.run(create, cwd=self.folder, check=True)
        return self.url.removesuffix("postgres") + name


def _version(binaries: Path) -> int:
    """Return the major version of a folder such as /usr/lib/postgresql/15/bin."""
    found = re.match(r"\d+", binaries.parent.name)
    return int(found.group()) if found else 0


def configured_influxdb() -> tuple[str, str] | None:
    """Return the address and token of the InfluxDB that the tests are told to use besides; None where there is none."""
    url = os.environ.get("HA_INGESTOR_TEST_INFLUXDB_URL", "")
    return (url, os.environ.get("HA_INGESTOR_TEST_INFLUXDB_TOKEN", "")) if url else None
