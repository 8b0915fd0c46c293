"""When a delivery is tried again, and when it is given up: pure decisions over plain values."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Final

from ingestor.webhooks.model import Answer, Delivery, DeliveryState, Hook

_US: Final = 1_000_000
#: Seconds before the second try, the third, and so on (the schedule of Standard Webhooks): 75 hours and a half.
RETRY_S: Final = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: What was never taken for so long is given up, however often it was tried: others went first.
GIVE_UP_AFTER_S: Final = 5 * 86_400
#: Up to this share is added to each pause, so that many receivers of one fault are not asked at the same moment.
_JITTER: Final = 0.2
_LONGEST_RETRY_AFTER_S: Final = 86_400.0
_TAKEN: Final = range(200, 300)
_GONE: Final = 410
#: The receiver is there and did not like this one: others may pass.
OF_THE_MESSAGE: Final = frozenset({400, 409, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class Verdict:
    """How delivery and webhook are after a try. `back`: the receiver is there again; what waits for it may go."""

    delivery: Delivery
    hook: Hook
    back: bool = False

    @property
    def taken(self) -> bool:
        """Whether the receiver took it."""
        return self.delivery.state is DeliveryState.DELIVERED


def now_us() -> int:
    """Return the time in Unix microseconds."""
    return time.time_ns() // 1000


def judge(hook: Hook, delivery: Delivery, answer: Answer, now_us: int, chance: float) -> Verdict:
    """Decide what comes of a try. `chance` is a random number from 0 to 1."""
    tried = replace(delivery, tries=delivery.tries + 1, status=answer.status, error=answer.error)
    if answer.status in _TAKEN:
        done = replace(tried, state=DeliveryState.DELIVERED, ended_us=now_us, error="", body=b"")
        well = replace(hook, failures=0, paused_until_us=0, last_error="", last_taken_us=now_us)
        return Verdict(done, well, back=hook.failures > 0)
    if answer.status == _GONE:
        why = "the receiver answered 410 Gone: it wants no more"
        return Verdict(_dead(tried, now_us), replace(hook, enabled=False, why=why, last_error=why))
    return _failed(hook, tried, answer, now_us, chance)


def _failed(hook: Hook, tried: Delivery, answer: Answer, now_us: int, chance: float) -> Verdict:
    asked_s = min(answer.retry_after_s, _LONGEST_RETRY_AFTER_S)
    next_us = now_us + int(max(_pause_s(tried.tries, chance), asked_s) * _US)
    over = tried.tries > len(RETRY_S) or now_us - tried.made_us >= GIVE_UP_AFTER_S * _US
    after = _dead(tried, now_us) if over else replace(tried, next_us=next_us)
    if answer.status in OF_THE_MESSAGE:
        return Verdict(after, replace(hook, last_error=answer.error))
    failures = hook.failures + 1
    until_us = max(now_us + int(max(_pause_s(failures, chance), asked_s) * _US), 0 if over else next_us)
    return Verdict(after, replace(hook, failures=failures, paused_until_us=until_us, last_error=answer.error))


def _dead(delivery: Delivery, now_us: int) -> Delivery:
    return replace(delivery, state=DeliveryState.DEAD, ended_us=now_us)


def _pause_s(tries: int, chance: float) -> float:
    return RETRY_S[min(tries, len(RETRY_S)) - 1] * (1 + _JITTER * chance)
