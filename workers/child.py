"""One process under the supervisor: start, watch, restart with back-off, stop; output goes to a bounded log."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, cast

from ingestor.queue.alive import AliveFile
from ingestor.queue.vitals import VitalsFile
from workers.process_log import ProcessLog
from workers.pulse import SILENT_S, Pulse

#: An end that a restart cannot mend (ingestor/cli/exit_codes.py): bad settings, refused credentials.
HOPELESS_CODES: Final = frozenset({2, 4})
#: Why a process that was asked to stop is not started again.
STOPPING: Final = "stopping"
_BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
#: A process that ran this long is well: its back-off starts anew.
_STABLE_S: Final = 60.0
#: How much a pipe holds, and how long lines are left to gather in it (s).
_PIPE_BYTES: Final = 256 * 1024
_GATHER_S: Final = 0.2
#: Who says that much meanwhile is read at once for so long (s).
_MUCH_BYTES: Final = 64 * 1024
_HURRIED_S: Final = 1.0
#: How much is read at once.
_READ_BYTES: Final = 8 * 1024
#: Who has ended has said their last line; who else has their pipe is not waited for.
_LAST_LINE_S: Final = 0.5
_PR_SET_PDEATHSIG: Final = 1
_AUTOGROUP: Final = Path("/proc/self/autogroup")


@dataclass(frozen=True, slots=True)
class Spec:
    """A process to keep alive. `stop_order`: the lowest stops first. `settles`: an end with code 0 is no fault.

    `niceness`: how far it stands back where processors are short, 0 (not at all) to 19.
    """

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    stop_order: int = 1
    settles: bool = False
    niceness: int = 0


class Child:
    """A running Spec. Not safe to share between threads, but for its log reader."""

    def __init__(self, spec: Spec, log_dir: Path, *, silent_s: float = SILENT_S) -> None:
        self.spec = spec
        self._silent_s = silent_s
        self._data_dir = log_dir.parent
        self._pulse: Pulse | None = None
        self._fresh = False
        self.restarts = 0
        self.given_up: str | None = None
        self._last_line = ""
        self._pumping: threading.Thread | None = None
        self._failures = 0
        self._started_at = 0.0
        self._start_again_at: float | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log = ProcessLog(log_dir / f"{spec.name}.log")

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start the process in a session of its own: a Ctrl-C reaches the supervisor alone, which knows the order."""
        self._started_at = time.monotonic()
        self._start_again_at = None
        self._process = subprocess.Popen(  # noqa: S603 -- our own command line
            self.spec.argv,
            env={**os.environ, **self.spec.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=functools.partial(_prepare, self.spec.niceness),  # noqa: PLW1509 -- only system calls
        )
        _widen(self._process.stdout)
        name = f"log-{self.spec.name}"
        self._pumping = threading.Thread(target=self._pump, args=(self._process,), name=name, daemon=True)
        self._pumping.start()
        self._pulse = Pulse(AliveFile(self._data_dir, self._process.pid), self._silent_s)

    @property
    def last_line(self) -> str:
        """The last line that it said: once it has ended, why."""
        if self._pumping is not None and self._process is not None and self._process.poll() is not None:
            self._pumping.join(_LAST_LINE_S)
        return self._last_line

    @property
    def ready(self) -> bool:
        """Tell whether the process runs and has shown a sign of life."""
        return self.pid is not None and self._pulse is not None and self._pulse.began

    def watch(self) -> str | None:
        """Restart the process when it is due; return a sentence for the operator when something happened."""
        if self.given_up or self._process is None:
            return None
        if self._start_again_at is not None:
            if time.monotonic() < self._start_again_at:
                return None
            self.restarts += 1
            self.start()
            return f"{self.spec.name} started again (restart {self.restarts})"
        code = self._process.poll()
        if code is None:
            return self._feel_pulse()
        self._clear_up()
        return self._ended(code)

    def _feel_pulse(self) -> str | None:
        """Kill the process where it beat once and beats no more; `watch` starts it again."""
        if self._pulse is None or not self._pulse.is_silent():
            return None
        self.kill()
        self._pulse.end()
        self._pulse = None  # said once, also where the system takes long to let it go
        return f"{self.spec.name} showed no sign of life for {self._silent_s:g} s and was killed"

    def _clear_up(self) -> None:
        """End what the process left behind: children of a killed worker may wait for ever."""
        if self._process is not None:
            _kill_group(self._process.pid)
            self._forget_life(self._process.pid)

    def _forget_life(self, pid: int) -> None:
        """Take away what it told of itself while it lived."""
        VitalsFile(self._data_dir, pid).remove()
        AliveFile(self._data_dir, pid).remove()

    def replace(self) -> None:
        """Have the process end in its own time and start it again at once."""
        self._fresh = True
        self._signal(signal.SIGTERM)

    def _ended(self, code: int) -> str:
        if self._fresh and not self.given_up:
            self._fresh = False
            self.start()
            return f"{self.spec.name} was replaced"
        if code in HOPELESS_CODES or (code == 0 and self.spec.settles):
            self.given_up = f"ended with code {code}"
            reason = f": {self.last_line}" if code else ""
            return f"{self.spec.name} stays down (code {code}){reason}"
        if time.monotonic() - self._started_at > _STABLE_S:
            self._failures = 0
        wait_s = _BACKOFF_S[min(self._failures, len(_BACKOFF_S) - 1)]
        self._failures += 1
        self._start_again_at = time.monotonic() + wait_s
        reason = f" ({self.last_line})" if code > 0 and self.last_line else ""
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}{reason}"
        return f"{self.spec.name} {how}; starting it again in {wait_s:g} s"

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self.given_up = self.given_up or STOPPING
        self._signal(signal.SIGTERM)

    def wait_gone(self, deadline: float) -> bool:
        """Wait until the process has ended; False when `deadline` (monotonic) came first."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self, gone_within_s: float = 5.0) -> None:
        """Kill the process and what it started; one that the system does not let go yet is seen off by `watch`."""
        if self._process is None:
            return
        if _kill_group(self._process.pid):
            self.wait_gone(time.monotonic() + gone_within_s)
        self._forget_life(self._process.pid)

    def _signal(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def _pump(self, process: subprocess.Popen[bytes]) -> None:
        """Copy output to the log file, and remember the last line: it says why a process ended."""
        if process.stdout is None:
            return
        for text in _lines_of(cast("io.BufferedReader", process.stdout)):
            if last := next((line for line in reversed(text.splitlines()) if line.strip()), ""):
                self._last_line = last.strip()[:300]
            self._log.write(text)


def _lines_of(stream: io.BufferedReader) -> Iterator[str]:
    """Yield what comes, in whole lines and some of them together.

    A look at each line costs more than writing it: the pipe holds what comes meanwhile. Who writes much is not kept
    waiting: a full pipe would stop them at their next line.
    """
    rest = b""
    drained = hurried_until = 0.0
    while read := stream.read1(_READ_BYTES):
        lines, end, rest = (rest + read).rpartition(b"\n")
        if len(rest) > _PIPE_BYTES:  # what has no end of a line has no end
            lines, end, rest = lines + end + rest, b"", b""
        if lines or end:
            yield (lines + end).decode("utf-8", "replace")
        drained += len(read)
        if len(read) == _READ_BYTES:
            continue
        if drained > _MUCH_BYTES:
            hurried_until = time.monotonic() + _HURRIED_S
        drained = 0
        if time.monotonic() >= hurried_until:
            time.sleep(_GATHER_S)
    if rest:
        yield rest.decode("utf-8", "replace")


def _widen(pipe: IO[bytes] | None) -> None:
    """Let a pipe hold more than Linux gives it at first: who says much at once is not stopped until it is read."""
    if pipe is not None and sys.platform == "linux":
        with contextlib.suppress(OSError):  # who has many pipes gets no more
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _kill_group(pid: int) -> bool:
    """Kill every process of a group; False where there is none any more."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _stand_back(niceness: int) -> None:
    """Be nice; Linux shares its time between sessions first, and a process's own niceness counts only within its own.

    This process leads a session, so the session's niceness is set, too (sched(7), "The autogroup feature").
    """
    os.nice(niceness)
    with contextlib.suppress(OSError):  # no such file without the feature
        _AUTOGROUP.write_text(str(niceness))


def _prepare(niceness: int) -> None:
    """Stand back where processors are short; have Linux end this process when the supervisor dies, however it dies."""
    if niceness:
        _stand_back(niceness)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
