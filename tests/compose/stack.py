"""Runs the Compose file's services as written on this machine, without an engine: words, variables and checks.

What an engine would give is put in by text: a service's name and port become a free loopback port, `/data` and
`/run/secrets` folders of the test. Programs of other images are Debian's, where Debian has them; it judges nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from tests.compose.file import FOLDER, check_of, command_of, composition, environment_of, grace_s, is_ours, services
from tests.servers import HOST, find_program, free_port

#: The ports at which services are known to each other.
PORTS = {
    "broker": 6379,
    "demo": 8123,
    "influxdb": 8086,
    "mosquitto": 1883,
    "postgres": 5432,
    "rabbitmq": 5672,
    "api": 8080,
    "flower": 5555,
    "prometheus": 9090,
}
#: Programs of images of others: how they are called here, and Debian's package.
_PROGRAMS = {
    "valkey-server": ("redis-server", "redis-server"),
    "valkey-cli": ("redis-cli", "redis-server"),
    "mosquitto": ("mosquitto", "mosquitto"),
    "mosquitto_sub": ("mosquitto_sub", "mosquitto-clients"),
    "prometheus": ("prometheus", "prometheus"),
    "wget": ("wget", "wget"),
    "pg_isready": ("pg_isready", "postgresql-client"),
}
#: What images of others run where the file gives no command, or only its options.
_ENTRY = {"mosquitto": ["mosquitto", "-c", "/mosquitto/config/mosquitto.conf"], "prometheus": ["prometheus"]}


class Composition:
    """The services of some profiles; `elsewhere`: ports of servers that stand for some. A `with` block ends all."""

    def __init__(
        self,
        folder: Path,
        profiles: Iterable[str],
        variables: Mapping[str, str] | None = None,
        elsewhere: Mapping[str, int] | None = None,
    ) -> None:
        self.folder = folder
        self.services = services(profiles, variables)
        self._secrets = [name for name in ("rabbitmq", "postgres") if name in self.services]
        for name in elsewhere or {}:
            self.services.pop(name, None)
        self.ports = {name: free_port() for name in PORTS} | dict(elsewhere or {})
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        shutil.copy(FOLDER / "make-secrets", self.folder / "make-secrets")
        subprocess.run(["sh", self.folder / "make-secrets", *self._secrets], check=True)
        for secret in (self.folder / "secrets").iterdir():
            text = secret.read_text()
            secret.chmod(0o644)
            secret.write_text(self.here(text))
        (self.folder / "data" / "run").mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)

    def look_for_programs(self) -> None:
        """Raise MissingServerError where a program of another image, or of its health check, is not on this machine."""
        for name, one in self.services.items():
            if not is_ours(one):
                self._program(self.command(name)[0])
                self._program(check_of(one)[0])

    def here(self, text: str, service: str = "") -> str:
        """Return a text with this machine's places for those of the composition."""
        for name, port in PORTS.items():
            text = text.replace(f"{name}:{port}", f"{HOST}:{self.ports[name]}")
        if service in PORTS:  # its own port, however it names it
            text = re.sub(rf"\b{PORTS[service]}\b", str(self.ports[service]), text)
        text = text.replace("0.0.0.0", HOST).replace("localhost", HOST)
        text = re.sub(r"/run/secrets\b", str(self.folder / "secrets"), text)
        return re.sub(r"(?<![\w/.])/(data|mosquitto|prometheus|etc)\b", rf"{self.folder}/\1", text)

    def start(self, *names: str) -> None:
        """Start services."""
        for name in names:
            self._place_files(name)
            with (self.folder / f"{name}.log").open("wb") as log:
                self._running[name] = subprocess.Popen(
                    self.command(name),
                    cwd=self.folder / "data",
                    env=self.environment(name),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

    def command(self, name: str) -> list[str]:
        """Return a service's command with this machine's programs and places."""
        one = self.services[name]
        words = ["ha-ingestor", *command_of(one)] if is_ours(one) else [*_ENTRY.get(name, []), *command_of(one)]
        extra = {"broker": ["--port", str(self.ports["broker"]), "--bind", HOST]}
        if name == "prometheus":
            extra[name] = [f"--web.listen-address={HOST}:{self.ports[name]}"]
        return [*self._program(words[0]), *(self.here(word, name) for word in words[1:]), *extra.get(name, [])]

    def environment(self, name: str) -> dict[str, str]:
        """Return a service's variables with this machine's places: those of the file, and the ports we moved."""
        given = {key: self.here(value, name) for key, value in environment_of(self.services[name]).items()}
        moved = {"api": "HA_INGESTOR_API__PORT", "flower": "HA_INGESTOR_FLOWER__PORT"}
        if name in moved:
            given[moved[name]] = str(self.ports[name])
        ours = str(Path(sys.executable).parent)
        return {"PATH": os.pathsep.join([ours, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/bin"]), **given}

    def healthy(self, name: str) -> bool:
        """Run a service's health check; tell whether it ended with 0."""
        first, *rest = check_of(self.services[name])
        moved = {"broker": ["-p", str(self.ports["broker"])], "mosquitto": ["-p", str(self.ports["mosquitto"])]}
        words = [*self._program(first), *moved.get(name, []), *(self.here(word, name) for word in rest)]
        return subprocess.run(words, env=self.environment(name), capture_output=True, check=False).returncode == 0

    def await_healthy(self, *names: str, within_s: float = 180.0) -> None:
        """Wait until services are healthy. Raises AssertionError with the log of one that is not or has ended."""
        waiting, deadline = list(names), time.monotonic() + within_s
        while True:
            for name in [name for name in waiting if self.healthy(name)]:
                waiting.remove(name)
            ended = [name for name, process in self._running.items() if process.poll() is not None]
            assert not ended, f"{ended[0]} ended\n{self.log(ended[0])}"
            if not waiting:
                return
            assert time.monotonic() < deadline, f"{waiting} not healthy within {within_s:g} s\n{self.log(waiting[0])}"
            time.sleep(1.0)  # a check is a process: asked more often it would delay what it asks for

    def stop(self, *names: str) -> dict[str, int]:
        """Ask services to stop, all at once; return exit codes. Raises AssertionError where one takes too long."""
        began = time.monotonic()
        for name in names:
            self._running[name].terminate()
        codes = {}
        for name in names:
            left = began + grace_s(self.services[name]) - time.monotonic()
            try:
                codes[name] = self._running[name].wait(max(left, 0.01))
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{name} did not stop in its grace period\n{self.log(name)}") from None
            del self._running[name]
        return codes

    def log(self, name: str) -> str:
        """Return the end of what a service wrote."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def _program(self, name: str) -> list[str]:
        if name in _PROGRAMS:
            return [str(find_program(*_PROGRAMS[name]))]
        if name in ("ha-ingestor", "python"):
            return [str(Path(sys.executable).parent / name)]
        return [name]

    def _place_files(self, name: str) -> None:
        """Put a service's configuration files where its command looks for them."""
        whole = composition()
        for entry in self.services[name].get("configs", []):
            target = Path(self.here(entry["target"]))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(self._config(name, FOLDER / whole["configs"][entry["source"]]["file"]))
        for volume in self.services[name].get("volumes", []):
            place = volume.split(":")[1]
            if volume.split(":")[0] in whole["volumes"]:
                Path(self.here(place)).mkdir(parents=True, exist_ok=True)

    def _config(self, name: str, source: Path) -> str:
        text = self.here(source.read_text(), name)
        if name == "mosquitto":  # asked for as root it would become another user, who may not write here
            text = text.replace(f"listener {self.ports[name]}", f"listener {self.ports[name]} {HOST}\nuser root")
        return text
