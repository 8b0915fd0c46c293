"""Stops processes in their order and within a bound: who has not ended by then is killed, and keeps nobody waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from workers.child import Child

#: All is down within 10 s of the word: what has not ended by itself after 8 is killed. The journal holds the rest.
STOP_WITHIN_S: Final = 8.0
#: The last (the broker) is asked when the others are down, and has at least so long.
_LAST_HAS_S: Final = 1.5
#: Before the next ones are asked, while these still end.
_TURN_S: Final = 1.0
#: The system may take its time to let a killed process go: where it starves, or waits for a disk.
_GONE_WITHIN_S: Final = 1.5


def stop_in_order(children: Sequence[Child], say: Callable[[str], None], within_s: float = STOP_WITHIN_S) -> bool:
    """Stop listeners (they flush), then workers and the rest, the broker last; False if one had to be killed."""
    deadline = time.monotonic() + within_s
    orders = sorted({child.spec.stop_order for child in children})
    groups = [[child for child in children if child.spec.stop_order == order] for order in orders]
    for group in groups[:-1]:
        # Who takes its time must not take that of those behind it: they are asked all the same, after a second.
        _ask(group, until=min(deadline - _LAST_HAS_S, time.monotonic() + _TURN_S))
    late = _end([child for group in groups[:-1] for child in group], deadline - _LAST_HAS_S)
    last = groups[-1] if groups else []
    _ask(last, until=time.monotonic())
    late += _end(last, max(deadline, time.monotonic() + _LAST_HAS_S))
    _see_off(late, say)
    return not late


def _ask(group: Sequence[Child], until: float) -> None:
    for child in group:
        child.ask_to_stop()
    for child in group:
        child.wait_gone(until)


def _end(group: Sequence[Child], until: float) -> list[Child]:
    """Wait for them, kill who is left, and what they left behind; return who had to be killed."""
    late = [child for child in group if not child.wait_gone(until)]
    for child in group:
        child.kill(gone_within_s=0)
    return late


def _see_off(killed: Sequence[Child], say: Callable[[str], None]) -> None:
    gone_by = time.monotonic() + _GONE_WITHIN_S
    for child in killed:
        say(f"{child.spec.name} did not stop in time and was killed")
        child.wait_gone(gone_by)
