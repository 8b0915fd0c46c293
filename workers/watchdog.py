"""Ends a worker node that lives but does not work, so that whoever runs it starts a fresh one; mends nothing.

Celery's `ping` says that all is well while nothing is consumed, and no time limit begins before a child has taken
its task. So three things are watched from a thread of the node's main process: its event loop turns, what it took
from the queue ends, and what waits in its queues is taken. A broker that is away excuses the first and the last.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from celery.worker import state
from vine import promise

from ingestor import errors
from ingestor.queue.gauge import BrokerGauge

_log: Final = structlog.get_logger("workers")
_LOOK_EVERY_S: Final = 2.0
#: Who has not looked for so long was stopped itself, or its machine slept: what it remembers means nothing.
_SLEPT_S: Final = 10.0
#: Celery tries a broker that was away again after 30 s at most.
LOOP_LIMIT_S: Final = 45.0
#: One task in work and one behind it, each with a soft limit of 25 s, that take all of it.
TASK_LIMIT_S: Final = 50.0
TAKE_LIMIT_S: Final = 40.0
#: After this time without a turn or a task, the broker is asked how it is.
_ASK_AFTER_S: Final = 10.0
_EXIT_CODE: Final = 1
_LAST_WORDS_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of a node: turns of its loop and tasks taken so far, and the ids of tasks that it holds."""

    turns: int
    taken: int
    held: frozenset[str]


class Vigil:
    """Judges what is seen of a node. `ask` returns how many messages wait for it, None while the broker is away."""

    def __init__(self, ask: Callable[[], int | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._before = Sight(-1, -1, frozenset())
        self._looked_s = clock()
        self._held_since: dict[str, float] = {}
        self._silent_s = self._turned_s = self._took_s = self._looked_s

    def fault(self, sight: Sight) -> str | None:
        """Return what is wrong with the node; None while nothing is, or nobody can tell."""
        now_s = self._clock()
        if now_s - self._looked_s > _SLEPT_S:
            self._held_since.clear()
            self._turned_s = self._took_s = now_s
        self._looked_s = now_s
        self._note(sight, now_s)
        held_s = now_s - min(self._held_since.values(), default=now_s)
        if held_s > TASK_LIMIT_S:
            return f"a task has not ended for {held_s:.0f} s"
        return self._idle_fault(now_s)

    def _note(self, sight: Sight, now_s: float) -> None:
        self._held_since = {task: self._held_since.get(task, now_s) for task in sight.held}
        if sight.turns != self._before.turns:
            self._turned_s = now_s
        if sight.taken != self._before.taken or sight.held:
            self._took_s = now_s
        self._before = sight

    def _idle_fault(self, now_s: float) -> str | None:
        turned_s, took_s = now_s - self._turned_s, now_s - self._took_s
        if max(turned_s, took_s) < _ASK_AFTER_S:
            return None
        waiting = self._ask()
        if waiting is None:
            self._turned_s = self._took_s = now_s
        elif turned_s > LOOP_LIMIT_S:
            return f"its event loop has stood still for {turned_s:.0f} s, and the broker answers"
        elif not waiting:
            self._took_s = now_s
        elif took_s > TAKE_LIMIT_S:
            return f"{waiting} messages wait, and it has taken none for {took_s:.0f} s"
        return None


class Watchdog:
    """Watches the node whose main process it runs in; `end` is what is done to one that does not work."""

    def __init__(self, consumer: Any, end: Callable[[Any], None] | None = None) -> None:
        self._consumer = consumer
        self._end = end or end_node
        self._stop = threading.Event()
        self._turns = 0
        self._turn = promise(self._turned)  # the same each time: the loop's set of calls holds it once
        self._gauge: BrokerGauge | None = None
        self._gauged: list[str] = []
        self._vigil = Vigil(self._waiting)
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more: the node ends by itself."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            self._ask_for_a_turn()
            fault = self._vigil.fault(self._see())
            if fault is not None and not self._stop.is_set():
                say = functools.partial(
                    _log.error, "worker_hangs", node=self._consumer.hostname, fault=fault, **hands_of(self._consumer)
                )
                last_words(say)
                self._end(self._consumer)
                return

    def _ask_for_a_turn(self) -> None:
        """Have the loop count its next turn; asked again each time, since a reconnect forgets it."""
        hub = self._consumer.hub
        if hub is None:
            self._turns += 1  # a pool without an event loop
        else:
            with contextlib.suppress(Exception):  # it may be closing
                hub.call_soon(self._turn)

    def _turned(self) -> None:
        self._turns += 1

    def _see(self) -> Sight:
        held = frozenset(str(request.id) for request in copied(state.reserved_requests))
        return Sight(self._turns, state.all_total_count[0], held)

    def _waiting(self) -> int | None:
        # Of a queue that is paused (workers/pausing.py) nothing is to be taken.
        queues = list(self._consumer.app.amqp.queues.consume_from)
        if self._gauge is None or queues != self._gauged:
            if self._gauge is not None:
                self._gauge.close()
            self._gauge, self._gauged = BrokerGauge(self._consumer.app, queues), queues
        try:
            return sum(self._gauge.read().depths.values())
        except errors.BrokerUnavailable:
            return None


def hands_of(consumer: Any) -> dict[str, Any]:
    """Return what a node has in hand by its own account, as far as it can be told: it says why no more is taken."""
    found: dict[str, Any] = {}
    with contextlib.suppress(Exception):  # its insides are those of a transport that may be half closed
        channel = consumer.task_consumer.channel
        found["prefetch"] = channel.qos.prefetch_count
        found["in_hand"] = len(channel.qos._delivered) - len(channel.qos._dirty)  # noqa: SLF001 -- told nowhere else
        found["may_take"] = channel.qos.can_consume()
        found["asks_broker"] = bool(channel._in_poll)  # noqa: SLF001 -- as above; Redis alone has it
        found["paused"] = len(channel.connection.cycle._paused_brpop)  # noqa: SLF001 -- as above
    return found


def last_words(say: Callable[[], object], within_s: float = _LAST_WORDS_S) -> None:
    """Say why a node ends, for so long: what it hangs on may be the very log, and it must end all the same."""
    saying = threading.Thread(target=say, name="last-words", daemon=True)
    saying.start()
    saying.join(within_s)


def end_node(consumer: Any, code: int = _EXIT_CODE) -> None:
    """End the node with its children, at once: what they had in hand is sent again by its journal."""
    for pid in consumer.pool.info.get("processes") or ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(code)


def copied(requests: Iterable[Any]) -> list[Any]:
    """Return what a set holds that the loop changes at the same time."""
    for _ in range(5):
        with contextlib.suppress(RuntimeError):  # changed while it was read
            return list(requests)
    return []
