"""Events whose cause was not known when they were written, to be looked up again for a while; values alone."""

from __future__ import annotations

import msgspec

from ingestor.events.point import Tags


class Unsettled(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An event of a batch whose cause is not known for sure: its slot and its context.

    `starts`: it is the start of what runs in that context, not an effect of it, as far as was known. `owner`: of
    whose run it would be the start (an entity_id; `script`: of any script's); "" where it can be no start.
    """

    slot: int
    context_id: str
    starts: bool = False
    owner: str = ""


class LateCause(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A point that is written, and the context that says its cause once that is known.

    Measurement, tags and time are the point's own, as written: what is written to it later is no other point. Without
    a measurement it is the context alone: whatever points it has may say another cause.
    """

    measurement: str
    tags: Tags
    time_ns: int
    context_id: str
    starts: bool = False
    owner: str = ""


def overtaken(context_id: str) -> LateCause:
    """Return what says that the points of a context may have been given a wrong cause."""
    return LateCause("", (), 0, context_id)
