"""Finds the pieces that harm who works on them, by trying them in processes that may die; decides nothing else.

For one thread, in a process without open connections: what is tried runs in a fork of it.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ingestor import errors

#: Memory that a batch may take on top of what the process has. A batch of the largest size takes a fifth of it.
_MEMORY_BYTES: Final = 512 * 1024 * 1024
#: A machine may be busy: so much longer than the processor time allowed may a piece take by the clock.
_PATIENCE: Final = 10
_REASON_BYTES: Final = 300
_FAILED: Final = 1


def attempt(work: Callable[[], object], *, cpu_s: int, memory_bytes: int = _MEMORY_BYTES) -> str | None:
    """Do some work in a process of its own; return what that came to, None where it ended well.

    An error of ours is an answer that workers know what to do with. Raises OSError where no process can be made.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        _be_tried(work, writing, cpu_s, memory_bytes)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read(_REASON_BYTES).decode("utf-8", "replace")
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return _killed_by(os.WTERMSIG(status))
    return said or "ended by itself" if os.WEXITSTATUS(status) else None


def _be_tried(work: Callable[[], object], writing: int, cpu_s: int, memory_bytes: int) -> None:
    """Work within limits; never returns."""
    code = _FAILED
    try:
        _set_limits(cpu_s, memory_bytes)
        work()
        code = 0
    except errors.IngestorError:
        code = 0  # an answer, not an accident
    except BaseException as error:  # noqa: BLE001 -- whatever it is, it is what this was made to find out
        os.write(writing, f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:_REASON_BYTES])
    finally:
        os._exit(code)


def _set_limits(cpu_s: int, memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    limit = _address_space() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in (signal.SIGXCPU, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, cpu_s * _PATIENCE)


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[0]) * resource.getpagesize()


def _killed_by(number: int) -> str:
    if number in (signal.SIGXCPU, signal.SIGALRM):
        return "takes for ever"
    return f"killed by {signal.Signals(number).name}"


def find_harmful(
    count: int,
    work: Callable[[Sequence[int]], object],
    *,
    cpu_s: int = 1,
    limit_s: float = 15.0,
    clock: Callable[[], float] = time.monotonic,
) -> dict[int, str]:
    """Return which of so many pieces do harm, and what it is; by halves, and each half alone.

    Pieces that only do harm together are blamed together, as are those for which the time is too short.
    """
    until_s = clock() + limit_s

    def search(part: range) -> dict[int, str]:
        reason = attempt(lambda: work(part), cpu_s=cpu_s)
        if reason is None:
            return {}
        if len(part) > 1 and clock() < until_s:
            middle = part.start + len(part) // 2
            found = search(range(part.start, middle)) | search(range(middle, part.stop))
            if found:
                return found
        return dict.fromkeys(part, reason)

    return search(range(count)) if count else {}
