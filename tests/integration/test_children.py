"""Processes under the supervisor's care: stopped, killed, replaced; small programs stand for the real ones."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import wait_until
from workers.child import Child, Spec
from workers.process_log import ProcessLog
from workers.rolling import Rolling
from workers.stopping import stop_in_order

_BEATS = """
import subprocess, sys, time
from pathlib import Path
from ingestor.queue.alive import AliveFile
file = AliveFile(Path({data!r}))
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("ready", flush=True)
while True:
    file.beat()
    time.sleep(0.05)
"""

_DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + _BEATS

#: More than a log file holds.
_MUCH = """
import time
from pathlib import Path
from ingestor.queue.alive import AliveFile
for number in range(60_000):
    print(f"{{number:>100}}")
print("all said", flush=True)
file = AliveFile(Path({data!r}))
while True:
    file.beat()
    time.sleep(0.05)
"""


#: Says a line every 2 ms, and why it ends with its last one, which has no end.
_LAST_WORDS = """
import sys, time
from pathlib import Path
from ingestor.queue.alive import AliveFile
AliveFile(Path({data!r})).beat()
for number in range(200):
    print(f"line {{number}}", flush=True)
    time.sleep(0.002)
sys.stdout.write("the disk is full")
sys.stdout.flush()
sys.exit(3)
"""


@pytest.fixture
def child_of(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    made: list[Child] = []
    (tmp_path / "logs").mkdir()

    def make(name: str = "worker-x", program: str = _BEATS, niceness: int = 0, stop_order: int = 1) -> Child:
        argv = [sys.executable, "-c", program.format(data=str(tmp_path))]
        child = Child(Spec(name, argv, niceness=niceness, stop_order=stop_order), tmp_path / "logs", silent_s=1.0)
        made.append(child)
        child.start()
        wait_until(lambda: child.watch() is None and child.ready, timeout_s=60, what="ready")
        return child

    yield make
    for child in made:
        child.kill()


def group_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def news_of(child: Child, part: str) -> None:
    said: list[str] = []

    def look() -> bool:
        said.append(child.watch() or "")
        return any(part in sentence for sentence in said)

    wait_until(look, timeout_s=60, what=part)


def test_lines_are_written_some_together_and_the_last_one_says_why_a_process_ended(
    child_of: Callable[..., Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[str] = []
    write = ProcessLog.write

    def counted(log: ProcessLog, text: str) -> None:
        writes.append(text)
        write(log, text)

    monkeypatch.setattr(ProcessLog, "write", counted)

    child = child_of(program=_LAST_WORDS)
    news_of(child, "ended with code 3 (the disk is full)")

    said = (tmp_path / "logs" / "worker-x.log").read_text()
    assert said == "".join(f"line {number}\n" for number in range(200)) + "the disk is full"
    assert all(text.endswith("\n") for text in writes[:-1])
    assert len(writes) < 50


def test_a_process_that_says_more_than_its_log_holds_goes_on_and_the_newest_is_kept(
    child_of: Callable[..., Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Were what fills its pipe left to gather each time, this would take minutes.
    monkeypatch.setattr("workers.child._GATHER_S", 5.0)
    child = child_of(program=_MUCH)

    wait_until(lambda: child.last_line == "all said", timeout_s=60, what="the last line")
    log = tmp_path / "logs" / "worker-x.log"
    wait_until(lambda: log.read_text().endswith("all said\n"), timeout_s=60, what="it is in the log")
    assert log.with_suffix(".log.1").read_text().splitlines()[0].strip() == "0"


def test_a_process_that_is_stopped_is_noticed_killed_with_its_children_and_started_again(
    child_of: Callable[..., Child],
) -> None:
    child = child_of()
    old = child.pid
    assert old is not None
    assert len(group_of(old)) == 2

    os.kill(old, signal.SIGSTOP)

    news_of(child, "no sign of life")
    news_of(child, "starting it again")
    news_of(child, "started again")
    assert child.pid not in (None, old)
    assert group_of(old) == []


def test_what_a_killed_process_leaves_behind_is_ended(child_of: Callable[..., Child]) -> None:
    child = child_of()
    old = child.pid
    assert old is not None

    os.kill(old, signal.SIGKILL)

    news_of(child, "was killed by SIGKILL")
    wait_until(lambda: group_of(old) == [], timeout_s=60, what="its child is gone")


def test_a_replaced_process_starts_at_once_and_is_no_failure(child_of: Callable[..., Child]) -> None:
    child = child_of()
    old = child.pid

    child.replace()

    news_of(child, "was replaced")
    assert child.pid != old
    assert child.restarts == 0


def test_a_rolling_restart_stops_no_node_before_the_one_before_it_works(child_of: Callable[..., Child]) -> None:
    children = [child_of(f"worker-{name}") for name in "abc"]
    before = [child.pid for child in children]
    rolling = Rolling(children)
    least = 3

    deadline = time.monotonic() + 30
    while not rolling.over and time.monotonic() < deadline:
        rolling.step()
        for child in children:
            child.watch()
        least = min(least, sum(child.ready for child in children))

    assert rolling.over
    assert least == 2
    assert not {child.pid for child in children} & set(before)


def test_a_node_that_does_not_stop_is_killed_and_the_round_goes_on(child_of: Callable[..., Child]) -> None:
    stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + _BEATS
    child = child_of("worker-stubborn", stubborn)
    old = child.pid
    clock = [0.0]
    rolling = Rolling([child], lambda: clock[0])

    rolling.step()
    assert rolling.step() is None
    clock[0] = 36.0
    assert "did not stop in time" in str(rolling.step())

    news_of(child, "was replaced")
    wait_until(lambda: (child.watch(), child.ready)[1], timeout_s=60, what="ready again")
    assert rolling.step() == "all workers were replaced"
    assert rolling.over
    assert child.pid != old


def test_who_stands_back_does_so_before_other_sessions_too(child_of: Callable[..., Child]) -> None:
    child = child_of("flower", niceness=7)

    assert child.pid is not None
    assert os.getpriority(os.PRIO_PROCESS, child.pid) >= 7
    group = Path(f"/proc/{child.pid}/autogroup")
    if group.exists():
        assert group.read_text().split()[-2:] == ["nice", "7"]


def test_a_killed_process_that_the_system_is_slow_to_let_go_is_seen_off_later(child_of: Callable[..., Child]) -> None:
    child = child_of()

    child.kill(gone_within_s=0)

    news_of(child, "was killed by SIGKILL")


def test_one_that_does_not_stop_keeps_the_others_no_longer_than_the_time_there_is(
    child_of: Callable[..., Child],
) -> None:
    deaf, last = child_of("worker-deaf", _DEAF), child_of("broker", stop_order=2)
    groups = [deaf.pid, last.pid]
    said: list[str] = []

    begun_s = time.monotonic()
    clean = stop_in_order([last, deaf], said.append, within_s=2.0)

    assert not clean
    assert time.monotonic() - begun_s < 10
    assert said == ["worker-deaf did not stop in time and was killed"]
    wait_until(lambda: not any(group_of(pid) for pid in groups if pid), timeout_s=60, what="all are gone")


def test_one_that_takes_its_time_leaves_some_to_those_that_stop_after_it(child_of: Callable[..., Child]) -> None:
    deaf, worker, broker = child_of("flower", _DEAF), child_of("worker", stop_order=2), child_of("broker", stop_order=9)
    said: list[str] = []

    stop_in_order([deaf, worker, broker], said.append, within_s=6.0)

    assert said == ["flower did not stop in time and was killed"]
