"""What the real servers of the tests have in common: a free loopback port, a temporary folder, an end by process id.

Knows no particular server (`servers_brokers` and `servers_stores` do) and touches no process that it did not start.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HOST = "127.0.0.1"
POLL_EVERY_S = 0.02

#: Below the range that the system hands to outgoing connections: a client that reconnects to a stopped server
#: could else be given the server's own port, and find itself. Runs beside each other are each given a part of it.
PORTS = range(*map(int, os.environ.get("TESTS_PORTS", "20000-32000").split("-")))


class MissingServerError(Exception):
    """A program that a test needs is not on this machine; says which one and how to get it."""


class ServerFailedError(Exception):
    """A server did not come up or did not stop; carries the end of its log."""


#: What was given away already: some servers bind only after others have asked.
_given: set[int] = set()
#: Not the common one: a test that seeds it would have the same ports chosen again.
_choice = random.SystemRandom()


def free_port() -> int:
    """Return a loopback port that nothing listens on, and that this process has given to nobody else."""
    for port in _choice.sample(PORTS, k=1000):
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            _given.add(port)
            return port
    raise ServerFailedError("no free loopback port found in 1000 tries")


def find_program(name: str, package: str, folders: Sequence[str] = ()) -> Path:
    """Return the path of a program, or raise `MissingServerError` that names its Debian package."""
    # /usr/sbin is not on everybody's PATH, and Debian puts daemons there.
    places = os.pathsep.join([*folders, os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    if found := shutil.which(name, path=places):
        return Path(found)
    raise MissingServerError(f"{name} is not on this machine (Debian: apt-get install {package}; or: make servers)")


def wait_until(
    condition: Callable[[], bool], *, timeout_s: float, what: str, poll_every_s: float = POLL_EVERY_S
) -> None:
    """Return as soon as the condition holds; raise `TimeoutError` that names it when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}")
        time.sleep(poll_every_s)


def accepts_connections(port: int) -> bool:
    """Tell whether something listens on a loopback port."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def answers(port: int, question: bytes, beginning: bytes) -> bool:
    """Tell whether a server answers a question, sent as bytes over TCP, with the expected beginning."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(question)
            return connection.recv(len(beginning)) == beginning
    except OSError:
        return False


class Server(ABC):
    """A real server: started by `start`, ended by `stop`, `kill` or the end of a `with` block; keeps its folder."""

    name: str
    ready_timeout_s = 30.0
    stop_timeout_s = 15.0
    stop_signal = signal.SIGTERM
    #: How often a starting server is asked whether it is ready: less often where the question costs it much.
    poll_every_s = POLL_EVERY_S

    def __init__(self, folder: Path | None = None) -> None:
        self._owns_folder = folder is None
        self.folder = folder or new_folder(self.name)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the command that runs the server in the foreground."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether the server answers in its own protocol."""

    def prepare(self) -> None:  # noqa: B027 - most servers need nothing
        """Write what the server needs before it starts; called before every start."""

    def environment(self) -> Mapping[str, str]:
        """Return what the server's environment has beyond ours."""
        return {}

    def user(self) -> str | None:
        """Return the user to run as, or None for our own."""
        return None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise ServerFailedError(f"{self.name} is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_path(self) -> Path:
        """The file that takes all the server prints, over restarts."""
        return self.folder / f"{self.name}.log"

    def start(self) -> Self:
        """Start the server and wait until it answers."""
        if self.is_running:
            return self
        self.prepare()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in self.command()],
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                user=self.user(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C reaches the tests alone, and `kill` can end all of it
            )
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait until the server answers; raise `ServerFailedError` with its log when it ends or does not."""
        try:
            wait_until(
                lambda: not self.is_running or self.is_ready(),
                timeout_s=self.ready_timeout_s,
                what="ready",
                poll_every_s=self.poll_every_s,
            )
        except TimeoutError as error:
            self.kill()
            raise ServerFailedError(f"{self.name} is not ready: {error}\n{self.log_tail()}") from error
        if not self.is_running:
            raise ServerFailedError(f"{self.name} ended at its start\n{self.log_tail()}")

    def stop(self) -> None:
        """Ask the server to stop and wait for it; kill it when it does not."""
        process = self._process
        if process is None:
            return
        process.send_signal(self.stop_signal)
        try:
            process.wait(self.stop_timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End the server at once, with all it started, as a power cut would."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(self.stop_timeout_s)
        self._process = None

    def restart(self) -> Self:
        """Stop the server and start it again on the same port and folder."""
        self.stop()
        return self.start()

    def log_tail(self, lines: int = 30) -> str:
        """Return the end of what the server printed."""
        try:
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(it printed nothing)"

    def close(self) -> None:
        """Stop the server and remove the folder that it was given here."""
        self.stop()
        if self._owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()


def new_folder(name: str) -> Path:
    """Make a temporary folder that other users may enter: PostgreSQL refuses to run as root."""
    folder = Path(tempfile.mkdtemp(prefix=f"ha-ingestor-{name}-"))
    folder.chmod(0o755)
    return folder
