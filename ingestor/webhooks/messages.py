"""The bodies of deliveries: messages of the live channel, gaps and pings; each with an id of its own. Sends nothing."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ingestor.live.envelope import CLOUD_TYPE_PREFIX, CloudEvent
from ingestor.live.gaps_told import gap_data, time_text
from ingestor.live.listener import Delivery, Gap
from ingestor.webhooks.model import GAP, PING, Hook, Parcel

#: A body is closed when it has so many bytes: few receivers take a megabyte.
MOST_BYTES: Final = 256 * 1024
_encode: Final = msgspec.json.Encoder().encode


class Said(NamedTuple):
    """A message as JSON, and the cursor of who has heard it."""

    cursor: str
    body: bytes


class Told(msgspec.Struct):
    """What is said besides messages of the live channel, in our own form."""

    id: str
    type: str
    home: str
    time: str
    data: dict[str, Any]


def said_of(hook: Hook, delivery: Delivery) -> Iterator[Said]:
    """Yield the messages of an entry that a webhook wants, rendered once for all who do."""
    messages, wanted = delivery.messages, hook.wanted
    for place, index in enumerate(delivery.chosen):
        if wanted.late or not messages.is_late(index):
            yield Said(delivery.cursor_at(place), messages.render(index, wanted.form))


def parcels_of(hook: Hook, said: Sequence[Said]) -> Iterator[Parcel]:
    """Yield deliveries of at most so many messages and bytes."""
    start = size = 0
    for place, one in enumerate(said):
        if place > start and (place - start >= hook.wanted.batch or size + len(one.body) > MOST_BYTES):
            yield _parcel(hook, said[start:place])
            start, size = place, 0
        size += len(one.body)
    if said:
        yield _parcel(hook, said[start:])


def content_type(hook: Hook) -> str:
    """Return the media type of a webhook's bodies."""
    if hook.wanted.form == "native":
        return "application/json"
    return "application/cloudevents-batch+json" if hook.wanted.batch > 1 else "application/cloudevents+json"


def gap_parcel(hook: Hook, gap: Gap, before: str, now_us: int) -> Parcel:
    """Return what tells that messages were lost: between where the webhook was, and where it goes on."""
    made = _id(hook, f"gap {before} {gap.cursor}")
    told = Told(made, GAP, gap.home, time_text(now_us), {**gap_data(gap, before, now_us)})
    return Parcel(made, GAP, 1, _body(hook, [_told(hook, told)]))


def ping_parcel(hook: Hook, now_us: int) -> Parcel:
    """Return a test delivery."""
    made = f"msg_{uuid.uuid4().hex}"
    data = {"webhook": hook.hook_id}
    return Parcel(made, PING, 1, _body(hook, [_told(hook, Told(made, PING, "", time_text(now_us), data))]))


def _parcel(hook: Hook, said: Sequence[Said]) -> Parcel:
    made = _id(hook, f"{said[0].cursor} {said[-1].cursor}")
    return Parcel(made, "messages", len(said), _body(hook, [one.body for one in said]))


def _body(hook: Hook, messages: Sequence[bytes]) -> bytes:
    if hook.wanted.batch == 1:
        return messages[0]
    joined = b"[" + b",".join(messages) + b"]"
    return joined if hook.wanted.form == "cloudevents" else b'{"type":"events","events":%s}' % joined


def _told(hook: Hook, told: Told) -> bytes:
    if hook.wanted.form == "native":
        return _encode(told)
    source = f"/ha-ingestor/homes/{told.home}" if told.home else "/ha-ingestor"
    kind = CLOUD_TYPE_PREFIX + told.type
    return _encode(CloudEvent(told.id, source, kind, told.time, hook.hook_id, told.data, told.home))


def _id(hook: Hook, of: str) -> str:
    """Return the same id for the same messages: who is told again after a kill can tell."""
    return f"msg_{hashlib.blake2b(f'{hook.hook_id} {of}'.encode(), digest_size=16).hexdigest()}"
