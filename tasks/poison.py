"""Poison: batches that harm whoever works on them. Finds the frames to blame, and ends what goes round; writes nothing.

A worker that dies leaves no word behind, so nothing is noted beforehand: that a batch was sent three times and never
came back is sign enough. It is then tried out in a process of its own (`tasks.trial`).
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from ingestor import errors
from ingestor.queue.state import state_errors

if TYPE_CHECKING:
    import redis

#: Two tries before this one did not come back.
FROM_ATTEMPT: Final = 3
#: From here on a batch is tried out in any case.
_CERTAINLY_FROM: Final = 6
#: A trial takes a second of processor time: after an outage many harmless batches come for the third time.
_EVERY_S: Final = 5.0
#: A busy machine takes ten seconds for it: at most one part in so many of a worker's time goes into trials, else they
#: keep it from its work, more batches come late, and those are tried as well.
_ONE_PART_IN: Final = 10
_TRIAL_S: Final = 20.0
#: So often a broker may give the same message again to a next worker, when the one before has died with it.
_MOST_REDELIVERIES: Final = 3
_REMEMBERED_S: Final = 3600

_log = structlog.get_logger("tasks")


class Found(msgspec.Struct, frozen=True):
    """What a trial found: harmful frames by place, with what they do; `unreadable` where the message itself harms."""

    frames: dict[int, str] = {}
    unreadable: str = ""


class Trials:
    """The trials of this process."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def harmful_frames(self, body: bytes, attempt: int) -> dict[int, str]:
        """Return the frames not to be looked at, with what they do. Raises UnreadableMessage where it is all of it."""
        found = self.judge(body, attempt)
        if found is None:
            return {}
        if found.unreadable:
            raise errors.UnreadableMessage("harms_its_worker", f"nobody could read it: {found.unreadable}")
        if found.frames:
            _log.error("poison_found", frames=len(found.frames), does=next(iter(found.frames.values())))
        return found.frames

    def judge(self, body: bytes, attempt: int) -> Found | None:
        """Try a message out if that is due; None where it was not, or nothing came of it."""
        now_s = time.monotonic()
        if attempt < FROM_ATTEMPT or (now_s < self._next_s and attempt < _CERTAINLY_FROM):
            return None
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tasks.trial"], input=body, capture_output=True, timeout=_TRIAL_S, check=True
            )
            return msgspec.json.decode(done.stdout, type=Found)
        except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
            _log.warning("trial_failed", error=f"{type(error).__name__}: {error}"[:300])
            return None
        finally:
            ended_s = time.monotonic()
            self._next_s = ended_s + max(_EVERY_S, _ONE_PART_IN * (ended_s - now_s))


def goes_round(request: Any, state: redis.Redis[bytes]) -> bool:
    """Tell whether a broker has given this message to so many workers that it is let go; its journal has the batch.

    Only what is delivered again is looked at: all else costs nothing. Raises StateUnavailable.
    """
    if not (request.delivery_info or {}).get("redelivered"):
        return False
    key = f"ha_ingestor:redelivered:{request.id}"
    with state_errors():
        pipe = state.pipeline(transaction=False)
        pipe.incr(key)
        pipe.expire(key, _REMEMBERED_S)
        times = int(pipe.execute()[0])
    if times <= _MOST_REDELIVERIES:
        return False
    _log.error("message_let_go", task_id=request.id, times=times)
    return True
