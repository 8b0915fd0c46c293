"""Keeps every process of an installation alive: starts them in order, restarts what dies, stops all within 10 s."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any, Final, TextIO, cast

from ingestor import bootstrap, errors, logs
from ingestor.cli.failing import ended
from ingestor.intake.loop import Loop
from ingestor.queue.alive import AliveFile
from ingestor.queue.heartbeat import heartbeat_of
from ingestor.queue.pauses import COPY, Pauses
from ingestor.settings import Settings
from ingestor.settings_sources import load_settings
from workers import broker, plan, screen
from workers.child import STOPPING, Child, Spec
from workers.crew import Crew
from workers.pools import open_pools
from workers.process_log import ProcessLog, ProcessStream
from workers.relief import relief_for
from workers.rolling import Rolling
from workers.stopping import stop_in_order
from workers.tables import MakingTables

_BROKER_START_S: Final = 30.0
_TICK_S: Final = 0.25


class Supervisor:
    """The processes of one installation."""

    def __init__(self, settings: Settings, display: screen.Screen) -> None:
        self._settings = settings
        self._screen = display
        # One node for all task types is as it is: there is nothing to scale.
        self._pools = None if settings.workers.together else open_pools(settings)
        self._plan = plan.make(settings, self._pools.wanted if self._pools else {})
        self._log_dir = settings.data_dir / "logs"
        self._broker: Child | None = None
        self._children: list[Child] = []
        self._crew = Crew(self._children, functools.partial(plan.worker, settings), self._start)
        self._stop = threading.Event()
        self._rolling: Rolling | None = None
        self._replace_workers = threading.Event()
        self._relief = relief_for(settings)
        self._pauses = Pauses(bootstrap.open_state(settings, hurried=True), settings.data_dir / COPY)

    def run(self) -> int:
        """Run until SIGINT or SIGTERM; return the exit code. SIGHUP replaces the workers, one node at a time."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._stop.set())
        signal.signal(signal.SIGHUP, lambda *_: self._replace_workers.set())
        self._log_dir.mkdir(parents=True, exist_ok=True)
        for name in self._plan.env:
            os.environ.pop(f"{name}_FILE", None)  # what is set here must not stand there, too
        os.environ.update(self._plan.env)
        try:
            self._start_all()
            self._screen.banner(self._settings, demo=self._plan.demo)
            if self._pools is not None:
                Loop("pools", self._pools.step).start()
            if self._relief is not None:
                Loop("broker-relief", self._relief.step).start()
            board, alive = bootstrap.open_status_board(self._settings), AliveFile(self._settings.data_dir)
            with heartbeat_of(board, "supervisor", self._settings.data_dir, self._tell):
                while not self._stop.wait(_TICK_S):
                    self._watch()
                    self._screen.tick()
                    alive.beat()
        finally:
            AliveFile(self._settings.data_dir).remove()
            if self._pools is not None:
                self._pools.stop()
            clean = self._stop_all()
        return 0 if clean else 1

    def _tell(self) -> dict[str, Any]:
        """Return how its processes are; ready while none of them stays down."""
        down = [child.spec.name for child in self._children if child.given_up and child.given_up != STOPPING]
        restarts = {child.spec.name: child.restarts for child in self._everyone()}
        with contextlib.suppress(errors.IngestorError):
            self._pauses.read()  # keeps its copy, and puts back what the state server lost
        return {"ready": not down, "down": down, "restarts": restarts}

    def _everyone(self) -> list[Child]:
        return [*([self._broker] if self._broker else []), *self._children]

    def _start_all(self) -> None:
        # The tables are made once here, not by every worker at once.
        tables = MakingTables()
        if self._plan.broker is not None:
            self._broker = Child(self._plan.broker, self._log_dir)
            self._broker.start()
            self._await_broker(self._broker)
        tables.wait()
        for spec in self._plan.others:
            self._children.append(self._start(spec))
            self._screen.say(f"started {spec.name}")

    def _start(self, spec: Spec) -> Child:
        child = Child(spec, self._log_dir)
        child.start()
        return child

    def _await_broker(self, child: Child) -> None:
        deadline = time.monotonic() + _BROKER_START_S
        while not broker.answers(self._settings):
            if child.pid is None:
                raise errors.BrokerUnavailable(f"the embedded broker ended at once: {child.last_line}")
            if time.monotonic() > deadline or self._stop.wait(0.05):
                raise errors.BrokerUnavailable(f"the embedded broker does not answer: {child.last_line}")
        self._screen.say("started broker")

    def _watch(self) -> None:
        for child in self._everyone():
            if news := child.watch():
                self._screen.say(news)
        self._roll()
        if self._pools is not None:
            if self._rolling is None:
                for news in self._crew.step(self._pools.wanted):
                    self._screen.say(news)
            self._pools.running = self._crew.running()
        for news in self._relief.take_news() if self._relief is not None else ():
            self._screen.say(news)

    def _roll(self) -> None:
        """Begin to replace the workers when that is asked for, and go on with it."""
        if self._replace_workers.is_set() and self._rolling is None:
            self._replace_workers.clear()
            self._rolling = Rolling(child for child in self._children if child.spec.name.startswith("worker-"))
        if self._rolling is not None:
            if news := self._rolling.step():
                self._screen.say(news)
            if self._rolling.over:
                self._rolling = None

    def _stop_all(self) -> bool:
        """Stop all in their order; False if one had to be killed."""
        self._screen.say("stopping …")
        clean = stop_in_order(self._everyone(), self._screen.say)
        self._screen.say("stopped")
        return clean


def lock_data_dir(folder: Path) -> IO[str]:
    """Take the data folder for this supervisor alone. Raises InvalidSettings where another one has it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".ha-ingestor").touch()
    handle = (folder / "supervisor.lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise errors.InvalidSettings(
            f"another `ha-ingestor up` runs in {folder}: stop it, or set HA_INGESTOR_DATA_DIR to another folder"
        ) from error
    handle.truncate(0)
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    return handle


def _set_up_logs(settings: Settings) -> None:
    """Log to a file, as the others do: the screen has the news, and a line between them says nothing to a reader."""
    folder = settings.data_dir / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    stream = ProcessStream(ProcessLog(folder / "supervisor.log"))
    logs.set_up(settings.log, stream=cast("TextIO", stream))  # all that a handler needs of one


def main() -> int:
    """Run the supervisor; return its exit code: 1 where a process had to be killed, else as `ended` has it."""
    return ended(_main)


def _main() -> int:
    display = screen.Screen(sys.stdout)
    settings = load_settings().settings
    with lock_data_dir(settings.data_dir):
        _set_up_logs(settings)
        return Supervisor(settings, display).run()


if __name__ == "__main__":
    sys.exit(main())
