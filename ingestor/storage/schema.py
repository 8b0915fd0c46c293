"""From events to points in our own schema: measurement, tags, fields and time (docs/reference/schema.md); no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ingestor import errors
from ingestor.events import decoding
from ingestor.events.event import Event, Place
from ingestor.events.point import FieldValue, Point, Tags
from ingestor.settings import StorageSettings
from ingestor.storage.ha_schema import ha_point

STATES: Final = "home_assistant_events"
OTHERS: Final = "home_assistant_other_events"
#: What a tag says where nothing is known: InfluxDB 1.x refuses an empty tag value.
UNKNOWN: Final = "-"
#: Digits below the microsecond, which Home Assistant's clock does not have.
TIE_BREAKS: Final = 1000
#: InfluxDB takes no longer string field (64 KiB, less what its own format needs).
MAX_TEXT_BYTES: Final = 65_000
_MAX_CACHED: Final = 50_000
_SEPARATOR: Final = "~"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def point_time_ns(event: Event) -> int:
    """Return the event's time with its tie-break below the microsecond (Unix, nanoseconds; rule 5)."""
    return event.time_us * TIE_BREAKS + event.identity % TIE_BREAKS


def point_key(home: str, series: str, kind: str, time_ns: int) -> bytes:
    """Return 8 bytes that stand for a point in the index of written points."""
    return hashlib.blake2b(
        f"{home}\x1f{kind}\x1f{series}\x1f{time_ns}".encode("utf-8", "replace"), digest_size=8
    ).digest()


def event_id(home: str, series: str, time_ns: int) -> str:
    """Return the id of an event: it says where any store finds it (rule 4)."""
    return f"{home}{_SEPARATOR}{series}{_SEPARATOR}{time_ns}"


def parse_event_id(text: str) -> tuple[str, str, int]:
    """Return (home, series, time in nanoseconds) of an event id. Raises Rejected("invalid_event_id")."""
    home, _, rest = text.partition(_SEPARATOR)
    series, _, time_ns = rest.rpartition(_SEPARATOR)
    if not (home and series and time_ns.isdecimal()):
        raise errors.Rejected("invalid_event_id", f"{text!r:.100} is not home~series~nanoseconds")
    return home, series, int(time_ns)


class PointBuilder:
    """Builds the points that the settings ask for; keeps the tags of each series."""

    def __init__(self, settings: StorageSettings) -> None:
        self._native = settings.schema_ in ("native", "both")
        self._as_home_assistant = settings.schema_ in ("home-assistant", "both")
        self._extra_tags = settings.extra_tags
        self._extra_fields = [(name, _extra_field(name)) for name in settings.extra_fields]
        self._tags: dict[tuple[str, Place], Tags] = {}

    def points(self, event: Event, place: Place, home: str, time_ns: int) -> list[Point]:
        """Return the event's points. Raises Rejected("field_too_long") where no store could keep it."""
        found: list[Point] = []
        if self._native:
            found.append(self._native_point(event, place, home, time_ns))
        if self._as_home_assistant and (point := ha_point(event)) is not None:
            found.append(point)
        return found

    def _native_point(self, event: Event, place: Place, home: str, time_ns: int) -> Point:
        identity = event_id(home, place.series, time_ns)
        if event.kind == "state":
            measurement, fields = STATES, _state_fields(event, place, identity)
        else:
            measurement, fields = OTHERS, _other_fields(event, identity)
        for name, read in self._extra_fields:
            if (value := read(event, place)) is not None:
                fields[name.removeprefix("attribute:")] = value
        _check_lengths(fields)
        return Point(measurement, self._tags_of(home, place), fields, time_ns, event.slot)

    def _tags_of(self, home: str, place: Place) -> Tags:
        key = (home, place)
        tags = self._tags.get(key)
        if tags is None:
            if len(self._tags) >= _MAX_CACHED:
                self._tags.clear()
            tags = self._tags[key] = self._make_tags(home, place)
        return tags

    def _make_tags(self, home: str, place: Place) -> Tags:
        values: dict[str, str] = {
            "home": home,
            "series": place.series,
            "domain": place.domain,
            "area": place.area,
            "device": place.device,
            "device_class": place.device_class,
            **{name: getattr(place, name) for name in self._extra_tags},
        }
        return tuple(sorted((name, value or UNKNOWN) for name, value in values.items()))


Reader = Callable[[Event, Place], FieldValue | None]


def _extra_field(name: str) -> Reader:
    """Return how an extra field is read from an event. Raises InvalidSettings for a name that is none."""
    if name.startswith("attribute:"):
        return _attribute_reader(name.removeprefix("attribute:"))
    try:
        return _EXTRA[name]
    except KeyError:
        known = ", ".join(sorted(_EXTRA))
        raise errors.InvalidSettings(f"storage.extra_fields: {name!r} is none of {known}, or attribute:NAME") from None


def _attribute_reader(attribute: str) -> Reader:
    def read(event: Event, _place: Place) -> FieldValue | None:
        value = (event.attributes or {}).get(attribute)
        # One type for ever: text, whatever an integration may put there tomorrow.
        return None if value is None else value if isinstance(value, str) else _json(value)

    return read


def _json(value: Any) -> str:
    return decoding.dumps(value).decode("utf-8", "replace")


def _time_text(time_us: int | None) -> str | None:
    if time_us is None:
        return None
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="microseconds")


_EXTRA: Final[dict[str, Reader]] = {
    "attributes": lambda event, _place: _json(event.attributes) if event.attributes else None,
    "labels": lambda _event, place: ",".join(place.labels) or None,
    "last_changed": lambda event, _place: _time_text(event.last_changed_us),
    "parent_id": lambda event, _place: event.parent_id,
    "user_id": lambda event, _place: event.user_id,
    "origin": lambda event, _place: event.origin,
    "received_at": lambda event, _place: _time_text(event.received_ns // 1000),
}


def _state_fields(event: Event, place: Place, identity: str) -> dict[str, FieldValue]:
    fields: dict[str, FieldValue] = {
        "available": event.available,
        "event_id": identity,
        "source": event.source,
        "entity_id": event.entity_id or event.subject,
    }
    optional: tuple[tuple[str, FieldValue | None], ...] = (
        ("value", event.value),
        ("state", event.state),
        ("previous_state", event.previous_state),
        ("unit", event.unit),
        ("context_id", event.context_id),
        ("integration", place.integration or None),
    )
    fields.update((name, value) for name, value in optional if value is not None)
    return fields


def _other_fields(event: Event, identity: str) -> dict[str, FieldValue]:
    fields: dict[str, FieldValue] = {"event_type": event.event_type, "event_id": identity, "source": event.source}
    optional: tuple[tuple[str, str | None], ...] = (
        ("entity_id", event.entity_id),
        ("context_id", event.context_id),
        ("parent_id", event.parent_id),
        ("user_id", event.user_id),
        ("origin", event.origin),
    )
    fields.update((name, value) for name, value in optional if value is not None)
    if event.data is not None:
        fields["data"] = _json(event.data)
    return fields


def _check_lengths(fields: dict[str, FieldValue]) -> None:
    for name, value in fields.items():
        if isinstance(value, str) and len(value) > MAX_TEXT_BYTES // 4 and len(value.encode()) > MAX_TEXT_BYTES:
            raise errors.Rejected("field_too_long", f"{name} has {len(value.encode())} bytes, more than a store takes")
