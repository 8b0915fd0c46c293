"""What is remembered of Home Assistant's contexts: who ran in which, and what led to it. Bounded; does no I/O."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import msgspec

V = TypeVar("V")

#: How sure it is who ran in a context; the surer one stays, so that the order of events makes no difference.
NOBODY: Final = 0
#: A script's own state changed to "on": it runs, in its caller's context.
SCRIPT_RAN: Final = 1
#: An automation wrote its own attributes (`last_triggered`): heard also by who may not hear `automation_triggered`.
AUTOMATION_RAN: Final = 2
SCRIPT_STARTED: Final = 3
AUTOMATION_TRIGGERED: Final = 4

#: A ULID: 10 characters of time (milliseconds), then 16 of chance. Other ids are remembered by this process alone.
ULID_LENGTH: Final = 26
#: Of a home, in a process: some 500 bytes a run with its cause, 150 a plain context.
MAX_RUNS: Final = 20_000
MAX_PLAIN: Final = 40_000


_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: Characters of a ULID that say its time, and how many milliseconds its first seven count in.
_TIME_LENGTH: Final = 10
_STEP_MS: Final = 32**3


def time_ms_of(context_id: str) -> int | None:
    """Return when a context was made (Unix milliseconds), as its id says; None where it is no ULID."""
    if len(context_id) != ULID_LENGTH:
        return None
    found = 0
    for sign in context_id[:_TIME_LENGTH]:
        value = _ALPHABET.find(sign)
        if value < 0:
            return None
        found = found * 32 + value
    return found


def minute_from(context_id: str) -> list[str]:
    """Return an id for each log of runs from a context on, for a minute; the context alone if it is no ULID."""
    time_ms = time_ms_of(context_id)
    if time_ms is None:
        return [context_id]
    return [context_id, *(_id_at(time_ms + steps * _STEP_MS) for steps in (1, 2))]


def _id_at(time_ms: int) -> str:
    signs = (_ALPHABET[(time_ms >> shift) & 31] for shift in range(45, -1, -5))
    return "".join(signs).ljust(ULID_LENGTH, "0")


class Run(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A context in which somebody acts: an automation or a script, a user, or what came from another context.

    `sureness` says how well `actor` (an entity_id) is known, `trigger_kind` and `trigger_id` what the automation says
    that it was triggered by. Text that is not known is "". `since_us`: when it said so (Unix microseconds); of two
    scripts that run in one context the first one counts, since it called the other.
    """

    context_id: str
    sureness: int = NOBODY
    actor: str = ""
    parent_id: str = ""
    user_id: str = ""
    trigger_kind: str = ""
    trigger_id: str = ""
    since_us: int = 0

    @property
    def actor_kind(self) -> str:
        """Automation or script."""
        return "script" if self.sureness in (SCRIPT_RAN, SCRIPT_STARTED) else "automation"

    def says_as(self, other: Run) -> bool:
        """Tell whether another one says the same of who runs and why."""
        return (
            self.actor == other.actor
            and self.trigger_kind == other.trigger_kind
            and self.trigger_id == other.trigger_id
            and self.user_id == other.user_id
        )


def merged(known: Run, heard: Run) -> Run:
    """Return what is known of a context after something more of it was heard."""
    surer = heard if (heard.sureness, -heard.since_us) > (known.sureness, -known.since_us) else known
    other = known if surer is heard else heard
    if surer.parent_id and surer.user_id:
        return surer
    return msgspec.structs.replace(
        surer, parent_id=surer.parent_id or other.parent_id, user_id=surer.user_id or other.user_id
    )


class Recent(Generic[V]):
    """The newest values by key, between half of `most` and `most` of them: two dicts, of which the older is dropped."""

    __slots__ = ("_half", "dropped", "new", "old")

    def __init__(self, most: int) -> None:
        self._half = max(1, most // 2)
        self.new: dict[str, V] = {}
        self.old: dict[str, V] = {}
        #: How often older values were dropped.
        self.dropped = 0

    def get(self, key: str) -> V | None:
        """Return the value, None where it is not (or no longer) known."""
        found = self.new.get(key)
        return self.old.get(key) if found is None else found

    def put(self, key: str, value: V) -> None:
        """Keep a value; where there are too many, the older ones are dropped."""
        self.new[key] = value
        self.trim()

    def trim(self) -> None:
        """Drop the older values where there are too many; for who adds to `new` by himself."""
        if len(self.new) >= self._half:
            self.old, self.new = self.new, {}
            self.dropped += 1

    def drop(self, key: str) -> None:
        """Forget a key."""
        self.new.pop(key, None)
        self.old.pop(key, None)

    def __len__(self) -> int:
        return len(self.new) + len(self.old)
