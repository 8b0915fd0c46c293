"""Runs our services in the image that `image` made: read-only, as its user, without rights, in a network of their own.

Each has the mounts, secrets, variables, user and grace period of the Compose file, by chroot and namespaces; they find
each other by name. The broker is Debian's Redis with the command line of its service. Needs root.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.compose.file import FOLDER, check_of, command_of, environment_of, grace_s, is_ours, services
from tests.compose.image import Stage
from tests.servers import find_program

#: How the broker's programs are called in Debian.
_REDIS = {"valkey-server": "redis-server", "valkey-cli": "redis-cli"}


class Containers:
    """The services of some profiles. A `with` block ends them all and takes the network away."""

    def __init__(self, stage: Stage, work: Path, profiles: Iterable[str]) -> None:
        self._stage, self._work = stage, work
        self.services = {name: one for name, one in services(profiles).items() if is_ours(one) or name == "broker"}
        self._net = f"compose-{os.getpid()}"
        self._stack = ExitStack()
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        shutil.copy(FOLDER / "make-secrets", self._work / "make-secrets")
        subprocess.run(["sh", self._work / "make-secrets"], check=True)
        # A volume is made with the owner that its folder has in the image.
        data = self._work / "data"
        data.mkdir()
        owner = (self._stage.root / "data").stat()
        os.chown(data, owner.st_uid, owner.st_gid)
        (self._work / "hosts").write_text("127.0.0.1 localhost " + " ".join(self.services) + "\n")
        subprocess.run(["ip", "netns", "add", self._net], check=True)
        self._stack.callback(subprocess.run, ["ip", "netns", "del", self._net], check=False)
        subprocess.run(["ip", "-n", self._net, "link", "set", "lo", "up"], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.kill()
            process.wait(10)
        self._stack.close()

    def start(self, name: str) -> None:
        """Start a service."""
        with self.log_path(name).open("wb") as log:
            self._running[name] = subprocess.Popen(self._command(name), stdout=log, stderr=subprocess.STDOUT)

    def stop(self, name: str) -> tuple[int, float]:
        """Ask a service to stop; return its exit code and the seconds it took. Raises TimeoutExpired."""
        began = time.monotonic()
        self._running[name].terminate()
        code = self._running[name].wait(grace_s(self.services[name]))
        del self._running[name]
        return code, time.monotonic() - began

    def ended(self) -> list[str]:
        """Return which services do not run any more."""
        return [name for name, one in self._running.items() if one.poll() is not None]

    def healthy(self, name: str) -> bool:
        """Run a service's health check inside it."""
        return self.inside(name, self._here(name, check_of(self.services[name]))).returncode == 0

    def inside(self, name: str, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run words within a service."""
        enter = ["nsenter", "-t", str(self._running[name].pid), "-n", "-m"]
        if name != "broker":
            enter += ["-u", "-r", "-w", *self._as_user(name)]
        return subprocess.run([*enter, *words], capture_output=True, text=True, check=False, env=self._env(name))

    def log_path(self, name: str) -> Path:
        """Return the file with what a service wrote."""
        return self._work / f"{name}.log"

    def _here(self, name: str, words: list[str]) -> list[str]:
        if name != "broker":
            return words
        program = _REDIS[words[0]]
        return [str(find_program(program, "redis-server")), *words[1:]]

    def _env(self, name: str) -> dict[str, str]:
        if name == "broker":
            return {"PATH": os.environ["PATH"]}
        return {**self._stage.env, **environment_of(self.services[name])}

    def _as_user(self, name: str) -> list[str]:
        user, _, group = self.services[name]["user"].partition(":")
        rights = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        return ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *rights]

    def _command(self, name: str) -> list[str]:
        one = self.services[name]
        if name == "broker":
            words = self._here(name, command_of(one))
            script = f"mkdir -p /data && mount -t tmpfs broker /data && exec {shlex.join(words)}"
            return ["ip", "netns", "exec", self._net, "unshare", "--mount", "sh", "-c", script]
        environ = [f"{key}={value}" for key, value in self._env(name).items()]
        words = [*self._as_user(name), *self._stage.entrypoint, *command_of(one)]
        run = ["chroot", "/mnt", "env", "-i", "-C", self._stage.folder, *environ, *words]
        script = f"hostname {name} && {' && '.join(self._mounts(one))} && exec {shlex.join(run)}"
        return ["ip", "netns", "exec", self._net, "unshare", "--mount", "--uts", "sh", "-c", script]

    def _mounts(self, one: dict[str, Any]) -> list[str]:
        root, data = shlex.quote(str(self._stage.root)), shlex.quote(str(self._work / "data"))
        steps = [f"mount --rbind {root} /mnt", "mount -t proc proc /mnt/proc", "mount --rbind /dev /mnt/dev"]
        steps += ["mount -t tmpfs run /mnt/run", "mkdir /mnt/run/secrets"]
        for secret in one.get("secrets", []):
            source = shlex.quote(str(self._work / "secrets" / secret))
            steps += [f"touch /mnt/run/secrets/{secret}", f"mount --bind {source} /mnt/run/secrets/{secret}"]
        steps += [f"mount --bind {data} /mnt/data", "mkdir -p /mnt/data/run"]
        for entry in one.get("tmpfs", []):
            place, _, options = entry.partition(":")
            steps.append(f"mount -t tmpfs -o {options} tmpfs /mnt{place}")
        hosts = shlex.quote(str(self._work / "hosts"))
        return [*steps, f"mount --bind {hosts} /mnt/etc/hosts", "mount -o remount,bind,ro /mnt"]
