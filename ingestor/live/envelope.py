"""The envelope of a live message, as JSON: our own form, and CloudEvents 1.0.2; the same bytes for all who listen."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ingestor.events.event import Event, Extra, Place
from ingestor.live.channel import EntryId
from ingestor.live.entry import LiveEntry, Notice
from ingestor.live.names import Name
from ingestor.storage.schema import event_id, tag_text

#: What is published later than this after it happened is marked late (rule 25).
LATE_AFTER_S: Final = 60
Form = Literal["native", "cloudevents"]
#: In CloudEvents a type begins with a name of ours.
CLOUD_TYPE_PREFIX: Final = "ha_ingestor."
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: What enrichment says of an event, as far as the settings want it.
Chosen = Callable[[dict[str, Extra]], dict[str, Extra]]


class Subject(NamedTuple):
    """What filters look at. "" where there is none."""

    name: Name
    entity_id: str = ""
    domain: str = ""
    area: str = ""
    device: str = ""
    event_type: str = ""


class EventData(msgspec.Struct, omit_defaults=True, gc=False):
    """An event as it is told; the names are those of exported columns and of the REST API. What is unknown is left out.

    `more` is what enrichment found, as far as the settings want it stored.
    """

    event_id: str
    kind: str
    event_type: str
    series: str
    entity_id: str | None = None
    domain: str = ""
    area: str = ""
    floor: str = ""
    device: str = ""
    device_class: str = ""
    integration: str = ""
    labels: tuple[str, ...] = ()
    state: str | None = None
    value: float | None = None
    unit: str | None = None
    previous_state: str | None = None
    available: bool | None = None
    source: str = ""
    context_id: str | None = None
    parent_id: str | None = None
    user_id: str | None = None
    attributes: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    cause_kind: Any = None
    cause_id: Any = None
    more: dict[str, Any] | None = None


class Envelope(msgspec.Struct, omit_defaults=True, gc=False):
    """A message in our own form. `late`: it happened more than 60 s before it was told."""

    id: str
    type: Name
    home: str
    time: str
    subject: str
    data: EventData | dict[str, Any]
    late: bool = False


class CloudEvent(msgspec.Struct, gc=False):
    """A message as a CloudEvent 1.0.2, structured; `home` and `late` are extensions."""

    id: str
    source: str
    type: str
    time: str
    subject: str
    data: EventData | dict[str, Any]
    home: str
    late: bool = False
    specversion: str = "1.0"
    datacontenttype: str = "application/json"


_MARK_BYTES: Final = 6
_encode: Final = msgspec.json.Encoder().encode


class Messages:
    """The messages of an entry, rendered when they are first asked for. For one thread."""

    def __init__(self, entry: LiveEntry, entry_id: EntryId, chosen: Chosen | None = None) -> None:
        self.home = entry.home
        self._entry = entry
        self._told_us = entry_id.ms * 1000
        self._chosen = chosen
        self._rendered: dict[tuple[Form, int], bytes] = {}
        self._updated = frozenset(entry.updated)

    def __len__(self) -> int:
        return len(self._entry.events) + len(self._entry.signs) + len(self._entry.notices)

    @property
    def entry(self) -> LiveEntry:
        """The entry that they are made from; not to be changed."""
        return self._entry

    @functools.cached_property
    def subjects(self) -> list[Subject]:
        """What each message is about, in order."""
        entry = self._entry
        found = [
            self._subject("event.updated" if index in self._updated else "event.new", index)
            for index in range(len(entry.events))
        ]
        # A sign is no event of Home Assistant, so it has no type of one.
        found.extend(self._subject(sign.name, sign.event)._replace(event_type="") for sign in entry.signs)
        found.extend(_subject_of(notice) for notice in entry.notices)
        return found

    def is_late(self, index: int) -> bool:
        """Tell whether a message was told more than a minute after it happened."""
        entry = self._entry
        if index >= len(entry.events) + len(entry.signs):
            return self._is_late(entry.notices[index - len(entry.events) - len(entry.signs)].time_us)
        of = index if index < len(entry.events) else entry.signs[index - len(entry.events)].event
        return self._is_late(entry.events[of].time_us)

    def render(self, index: int, form: Form) -> bytes:
        """Return a message as JSON, on one line."""
        known = self._rendered.get((form, index))
        if known is None:
            message = self._envelope(index)
            shown = message if form == "native" else _cloud_event(message)
            known = self._rendered[form, index] = _encode(shown)
        return known

    def _subject(self, name: Name, index: int) -> Subject:
        event = self._entry.events[index]
        place = self._entry.places[event.place]
        return Subject(name, event.entity_id or "", place.domain, place.area, place.device, event.event_type)

    def _envelope(self, index: int) -> Envelope:
        entry = self._entry
        if index < len(entry.events):
            return self._of_event(self.subjects[index].name, index)
        index -= len(entry.events)
        if index < len(entry.signs):
            sign = entry.signs[index]
            return self._of_event(sign.name, sign.event, f"/{sign.name}")
        notice = entry.notices[index - len(entry.signs)]
        late = self._is_late(notice.time_us)
        time = _time_text(notice.time_us)
        return Envelope(notice.notice_id, notice.name, entry.home, time, notice.subject, notice.data, late)

    def _of_event(self, name: Name, index: int, id_end: str = "") -> Envelope:
        event = self._entry.events[index]
        data = self._data(event, index)
        subject = data.device if name.startswith("device.") else data.entity_id or data.event_type
        late = self._is_late(event.time_us)
        if name == "event.updated":
            # What it says now is another message than what was told of it before, and the same if it is told again.
            id_end = f"/{name}/{hashlib.blake2b(_encode(data), digest_size=_MARK_BYTES).hexdigest()}"
        return Envelope(data.event_id + id_end, name, self.home, _time_text(event.time_us), subject, data, late)

    def _is_late(self, time_us: int) -> bool:
        return self._told_us - time_us > LATE_AFTER_S * 1_000_000

    def _data(self, event: Event, index: int) -> EventData:
        place = self._entry.places[event.place]
        is_state = event.kind == "state"
        more = self._context(event)
        return EventData(
            event_id(self.home, tag_text(place.series), self._entry.times_ns[index]),
            event.kind,
            event.event_type,
            place.series,
            event.entity_id,
            **_place_fields(place),
            state=event.state,
            value=event.value,
            unit=event.unit,
            previous_state=event.previous_state,
            available=event.available if is_state else None,
            source=event.source,
            context_id=event.context_id,
            parent_id=event.parent_id,
            user_id=event.user_id,
            attributes=event.attributes,
            data=event.data,
            cause_kind=more.pop("cause_kind", None),
            cause_id=more.pop("cause_id", None),
            more=more or None,
        )

    def _context(self, event: Event) -> dict[str, Extra]:
        if self._chosen is None:
            return {}
        found: dict[str, Extra] = {}
        if 0 <= event.moment < len(self._entry.moments):
            found.update(self._chosen(self._entry.moments[event.moment].fields))
        if event.extras:
            found.update(self._chosen(event.extras))
        return found


def _place_fields(place: Place) -> dict[str, Any]:
    return {
        "domain": place.domain,
        "area": place.area,
        "floor": place.floor,
        "device": place.device,
        "device_class": place.device_class,
        "integration": place.integration,
        "labels": place.labels,
    }


def _subject_of(notice: Notice) -> Subject:
    device = notice.subject if notice.name.startswith("device.") else ""
    entity_id = "" if device or notice.name.startswith("system.") else notice.subject
    return Subject(notice.name, entity_id, entity_id.partition(".")[0], "", device)


def _cloud_event(message: Envelope) -> CloudEvent:
    return CloudEvent(
        message.id,
        f"/ha-ingestor/homes/{message.home}",
        CLOUD_TYPE_PREFIX + message.type,
        message.time,
        message.subject,
        message.data,
        message.home,
        message.late,
    )


def _time_text(time_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="microseconds").replace("+00:00", "Z")
