"""What chaos does to a running stage, a function a harm: each does it, waits as long as it lasts, and puts it right."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import redis

from ingestor import bootstrap
from tests.chaos.proxy import Mood
from tests.chaos.stage import OTHER_HOST, Stage

FILLER_KEY = "chaos:filler"


@dataclass(frozen=True, slots=True)
class Harm:
    """A kind of harm. `times` is how often in a whole run; `cuts` says that Home Assistant's events are missed."""

    name: str
    do: Callable[[Stage, random.Random], str]
    times: int = 1
    in_short: int = 0
    cuts: bool = False
    needs_embedded: bool = False
    needs_hosts: bool = False


def kill_parent(kind: str) -> Callable[[Stage, random.Random], str]:
    """Return a harm that kills the one process of a kind, or the parent of its pool."""

    def do(stage: Stage, _chance: random.Random) -> str:
        return _kill(stage.processes(kind)[:1])

    return do


def kill_child(kind: str) -> Callable[[Stage, random.Random], str]:
    """Return a harm that kills one of the processes of a pool."""

    def do(stage: Stage, chance: random.Random) -> str:
        children = stage.processes(kind)[1:]
        return _kill([chance.choice(children)] if children else [])

    return do


def kill_in_a_write(stage: Stage, _chance: random.Random) -> str:
    """Kill every writing process while the store has a request of theirs and has not yet answered."""
    before = stage.proxy.seen.harmed.get("delay", 0)
    stage.proxy.mood = Mood("delay", 2.0)
    try:
        deadline = time.monotonic() + 20
        while stage.proxy.seen.harmed.get("delay", 0) == before:
            if time.monotonic() > deadline:
                return "nothing to kill: no request to the store within 20 s"
            time.sleep(0.02)
        children = stage.processes("write")[1:]
        for _, process in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    finally:
        stage.proxy.mood = Mood()
    return f"kill -9 of {len(children)} while the store's answer was awaited"


def _kill(found: list[tuple[str, psutil.Process]]) -> str:
    for _, process in found:
        process.kill()
        return f"kill -9 {process.pid}"
    return "nothing to kill: it is being started"


def restart_worker(kind: str) -> Callable[[Stage, random.Random], str]:
    """Return a harm that asks a worker node to stop, as a rolling restart does."""

    def do(stage: Stage, _chance: random.Random) -> str:
        for _, process in stage.processes(kind)[:1]:
            process.terminate()
        return "SIGTERM"

    return do


def hang_child(stage: Stage, chance: random.Random) -> str:
    """Stop a write process for a while: it hangs with a batch in its hands."""
    children = stage.processes("write")[1:]
    if not children:
        return "nothing to stop"
    _, process = chance.choice(children)
    process.suspend()
    time.sleep(20)
    try:
        process.resume()
    except psutil.NoSuchProcess:
        return f"SIGSTOP {process.pid}: it was replaced"
    return f"SIGSTOP {process.pid} for 20 s"


def starve_worker(stage: Stage, _chance: random.Random) -> str:
    """Leave the process that validates no memory to allocate for five seconds."""
    for _, process in stage.processes("validate")[1:2]:
        limit = process.memory_info().vms + 1024 * 1024
        _, hard = process.rlimit(psutil.RLIMIT_AS)
        process.rlimit(psutil.RLIMIT_AS, (limit, hard))
        time.sleep(5)
        try:
            process.rlimit(psutil.RLIMIT_AS, (hard, hard))
        except psutil.NoSuchProcess:
            return f"{process.pid} had 1 MB left: it ended"
        return f"{process.pid} had 1 MB left for 5 s"
    return "nothing to starve"


def kill_broker(stage: Stage, _chance: random.Random) -> str:
    """Kill -9 the task broker."""
    if stage.broker_server is None:
        return kill_parent("broker")(stage, _chance)
    stage.broker_server.kill()
    time.sleep(2)
    stage.broker_server.start()
    return "kill -9, started again after 2 s"


def restart_broker(stage: Stage, _chance: random.Random) -> str:
    """Stop the task broker in an orderly way; it comes back."""
    if stage.broker_server is None:
        for _, process in stage.processes("broker")[:1]:
            process.terminate()
        return "SIGTERM"
    stage.broker_server.stop()
    stage.broker_server.start()
    return "stopped and started"


def flush_broker(stage: Stage, _chance: random.Random) -> str:
    """Empty the broker: queues, state, everything."""
    client = bootstrap.open_state(stage.settings)
    client.flushall()
    client.close()
    return "FLUSHALL"


def fill_broker(stage: Stage, _chance: random.Random) -> str:
    """Fill the broker to its ceiling for 15 seconds."""
    client = bootstrap.open_state(stage.settings)
    pieces = 0
    for size in (1_000_000, 50_000, 1000):
        try:
            while True:
                client.rpush(FILLER_KEY, os.urandom(size))
                pieces += 1
        except redis.ResponseError:
            continue
    time.sleep(15)
    client.delete(FILLER_KEY)
    client.close()
    return f"full for 15 s ({pieces} pieces)"


def stop_store(seconds: float) -> Callable[[Stage, random.Random], str]:
    """Return a harm that lets the store hang (SIGSTOP): connections stay, answers do not come."""

    def do(stage: Stage, _chance: random.Random) -> str:
        os.kill(stage.influx.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(stage.influx.pid, signal.SIGCONT)
        return f"SIGSTOP for {seconds:g} s"

    return do


def kill_store(stage: Stage, _chance: random.Random) -> str:
    """Kill -9 the store and start it again."""
    stage.influx.kill()
    time.sleep(5)
    stage.influx.start()
    return "kill -9, started again after 5 s"


def mood(how: str, seconds: float, *, value: float = 0.0, one_in: int = 1) -> Callable[[Stage, random.Random], str]:
    """Return a harm by the proxy before the store."""

    def do(stage: Stage, _chance: random.Random) -> str:
        before = stage.proxy.seen.harmed.get(how, 0)
        stage.proxy.mood = Mood(how, value, one_in)
        time.sleep(seconds)
        stage.proxy.mood = Mood()
        return f"{stage.proxy.seen.harmed.get(how, 0) - before} requests in {seconds:g} s"

    return do


def order(what: str, pause_s: float = 0.0, **how: float) -> Callable[[Stage, random.Random], str]:
    """Return a harm that the source does itself."""

    def do(stage: Stage, _chance: random.Random) -> str:
        stage.tell(what, **how)
        time.sleep(pause_s)
        return f"{pause_s:g} s" if pause_s else "done"

    return do


def restart_mosquitto(stage: Stage, _chance: random.Random) -> str:
    """Restart the MQTT broker."""
    stage.mosquitto.stop()
    time.sleep(1)
    stage.mosquitto.start()
    return "stopped for 1 s"


def cut_host(seconds: float) -> Callable[[Stage, random.Random], str]:
    """Return a harm that takes the network of the host with workers alone; they keep what they have in hand."""

    def do(stage: Stage, _chance: random.Random) -> str:
        if stage.hosts is None:
            return "not done: there is one host"
        stage.hosts.cut(OTHER_HOST)
        time.sleep(seconds)
        stage.hosts.mend(OTHER_HOST)
        return f"cut off for {seconds:g} s"

    return do


def fill_disk(stage: Stage, _chance: random.Random) -> str:
    """Fill the journals' disk for ten seconds, where they have one of their own."""
    if not stage.disk_is_small:
        return "not done: the journal has no disk of its own here (root may mount one)"
    filler = stage.data_dir / "journal" / "filler"
    taken = 0
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            taken += file.write(bytes(65_536))
    time.sleep(10)
    filler.unlink()
    return f"{taken // 1024:,} KB taken for 10 s"


def step_clock(stage: Stage, _chance: random.Random) -> str:
    """Step the time of day of the whole stack forward by two minutes, back by three, and right again."""
    if not stage.has_clock:
        return "not done: no C compiler to make a clock that can be stepped"
    for step in (120, -60, 0):
        stage.step_clock(step)
        time.sleep(6)
    return "+120 s, -60 s, right again"


#: Every harm, in the order of the report.
HARMS = (
    Harm("kill-validate", kill_parent("validate"), 2, 1),
    Harm("kill-validate-child", kill_child("validate"), 3, 1),
    Harm("kill-enrich", kill_parent("enrich"), 2, 1),
    Harm("kill-enrich-child", kill_child("enrich"), 3, 1),
    Harm("kill-write", kill_parent("write"), 2, 1),
    Harm("kill-write-child", kill_child("write"), 3, 1),
    Harm("kill-in-a-write", kill_in_a_write, 3, 1),
    Harm("kill-rare", kill_parent("rare"), 2),
    Harm("kill-rare-child", kill_child("rare"), 1),
    Harm("kill-beat", kill_parent("beat"), 2, 1),
    Harm("kill-api", kill_parent("api"), 1),
    Harm("kill-listener-mqtt", kill_parent("listen-mqtt"), 3, 1),
    Harm("kill-listener-websocket", kill_parent("listen-websocket"), 3, 1, cuts=True),
    Harm("restart-validate", restart_worker("validate")),
    Harm("restart-write", restart_worker("write")),
    Harm("hang-write-child", hang_child),
    Harm("starve-validate", starve_worker),
    Harm("kill-broker", kill_broker, 2, 1),
    Harm("restart-broker", restart_broker),
    Harm("flush-broker", flush_broker, 2, 1),
    Harm("fill-broker", fill_broker, needs_embedded=True),
    Harm("cut-host-off", cut_host(20), 2, needs_hosts=True),
    Harm("cut-host-off-long", cut_host(60), 1, needs_hosts=True),
    Harm("store-hangs", stop_store(60)),
    Harm("store-hangs-shortly", stop_store(8), 0, 1),
    Harm("kill-store", kill_store, 1, 1),
    Harm("store-slow", mood("delay", 15, value=1.5)),
    Harm("store-cuts-request", mood("cut_request", 5, one_in=2), 1, 1),
    Harm("store-cuts-answer", mood("cut_answer", 5, one_in=2), 1, 1),
    Harm("store-500", mood("500", 6), 1, 1),
    Harm("store-503", mood("503", 6, value=2)),
    Harm("store-429", mood("429", 6, value=2)),
    Harm("ha-cut", order("cut"), 2, 1, cuts=True),
    Harm("ha-close", order("close"), 1, cuts=True),
    Harm("ha-stall", order("stall", 12, s=12), 1, cuts=True),
    Harm("restart-mosquitto", restart_mosquitto, 2, 1),
    Harm("fill-disk", fill_disk, 1, cuts=True),
    Harm("step-clock", step_clock),
    Harm("rename", order("rename"), 4, 2),
    Harm("move", order("move"), 4, 2),
)
