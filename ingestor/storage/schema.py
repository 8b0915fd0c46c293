"""From events to points in our own schema: measurement, tags, fields and time (docs/reference/schema.md); no I/O."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ingestor import errors
from ingestor.events import decoding
from ingestor.events.context import CONTEXT_NAMES
from ingestor.events.event import Event, Extra, Moment, Place
from ingestor.events.point import FieldValue, Point, SharedFields, Tags
from ingestor.settings import StorageSettings
from ingestor.storage.context_fields import ContextFields
from ingestor.storage.descriptions import Descriptions
from ingestor.storage.ha_schema import ha_point

STATES: Final = "home_assistant_events"
OTHERS: Final = "home_assistant_other_events"
#: What holds for a home from a moment on: a point a moment, for all events until the next one.
CONTEXT: Final = "home_assistant_context"
#: What a tag says where nothing is known: InfluxDB 1.x refuses an empty tag value.
UNKNOWN: Final = "-"
#: Digits below the microsecond, which Home Assistant's clock does not have.
TIE_BREAKS: Final = 1000
#: InfluxDB takes no longer string field (64 KiB, less what its own format needs).
MAX_TEXT_BYTES: Final = 65_000
_MAX_CACHED: Final = 50_000
#: A batch has mostly one or two; with each batch come others.
_MAX_MOMENTS: Final = 64
#: Sources whose events were not heard when they happened: the field `origin` says so.
READ_BACK: Final = frozenset({"history", "statistics"})
#: Names that an attribute cannot have as a field: they mean something else.
_TAKEN: Final = frozenset(
    {
        "time",
        "home",
        "series",
        "domain",
        "area",
        "device",
        "device_class",
        "floor",
        "integration",
        "value",
        "state",
        "available",
        "previous_state",
        "unit",
        "entity_id",
        "event_id",
        "event_type",
        "context_id",
        "parent_id",
        "user_id",
        "origin",
        "source",
        "data",
        "raw_state",
        "raw_unit",
        "repaired_by",
    }
)
_SEPARATOR: Final = "~"
#: 2^64 divided by the golden ratio: neighbouring times become keys far from each other.
_ODD: Final = 0x9E3779B97F4A7C15
_64_BITS: Final = 2**64 - 1
#: No time that a store holds has more (and Python makes no number of thousands of digits).
_MAX_DIGITS: Final = 19
_BLANKS: Final = str.maketrans("\r\n\t", "   ")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def point_time_ns(event: Event) -> int:
    """Return the event's time with its tie-break below the microsecond (Unix, nanoseconds; rule 5)."""
    return event.time_us * TIE_BREAKS + event.identity % TIE_BREAKS


def tag_text(text: str) -> str:
    """Return text as every store can keep it in a tag: no line break, no tab (3.x), no backslash at its end."""
    text = text.translate(_BLANKS)
    return f"{text}_" if text.endswith("\\") else text or UNKNOWN


def point_key(home: str, series: str, kind: str, time_ns: int) -> bytes:
    """Return 8 bytes that stand for a point in the index of written points.

    Of one series no two times have the same (an odd factor is one to one); of two, no more than chance has it.
    """
    return ((_series_key(home, series, kind) + time_ns * _ODD) & _64_BITS).to_bytes(8, "little")


@functools.lru_cache(maxsize=_MAX_CACHED)
def _series_key(home: str, series: str, kind: str) -> int:
    text = f"{home}\x1f{kind}\x1f{series}"
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def event_id(home: str, series: str, time_ns: int | str) -> str:
    """Return the id of an event: it says where any store finds it (rule 4)."""
    return f"{home}{_SEPARATOR}{series}{_SEPARATOR}{time_ns}"


def parse_event_id(text: str) -> tuple[str, str, int]:
    """Return (home, series, time in nanoseconds) of an event id. Raises Rejected("invalid_event_id")."""
    home, _, rest = text.partition(_SEPARATOR)
    series, _, time_ns = rest.rpartition(_SEPARATOR)
    if not (home and series and time_ns.isascii() and time_ns.isdecimal() and len(time_ns) <= _MAX_DIGITS):
        raise errors.Rejected("invalid_event_id", f"{text!r:.100} is not home~series~nanoseconds")
    return home, series, int(time_ns)


@dataclass(slots=True)
class _Series:
    """What is the same for every point of a series, made once. Its description is good until `described_until_ns`."""

    tags: Tags
    id_start: str
    described_until_ns: int = 0


class PointBuilder:
    """Builds the points that the settings ask for; keeps the tags of each series."""

    def __init__(self, settings: StorageSettings) -> None:
        self._native = settings.schema_ in ("native", "both")
        self._as_home_assistant = settings.schema_ in ("home-assistant", "both")
        self._extra_tags = settings.extra_tags
        self._extra_fields = _extra_fields(settings)
        self._series: dict[tuple[str, Place], _Series] = {}
        self._moments: dict[int, tuple[Moment, SharedFields]] = {}
        self._context_fields = ContextFields(settings.context_fields)
        self._told: dict[tuple[str, int], dict[str, Extra]] = {}
        self.descriptions = Descriptions()

    def context_points(self, home: str, moments: Sequence[Moment]) -> list[Point]:
        """Return a point for each moment of which this builder has made none yet, or one that said something else."""
        if not self._native:
            return []
        tags = (("home", tag_text(home)),)
        return [
            Point(CONTEXT, tags, dict(moment.fields), moment.from_us * TIE_BREAKS)
            for moment in moments
            if moment.fields and self._told.get((home, moment.from_us)) != moment.fields
        ]

    def context_stored(self, home: str, moments: Sequence[Moment]) -> None:
        """Note that the store has the points of these moments."""
        if len(self._told) >= _MAX_MOMENTS:
            self._told.clear()
        self._told.update({(home, moment.from_us): moment.fields for moment in moments})

    def points(self, event: Event, place: Place, home: str, time_ns: int, moment: Moment | None = None) -> list[Point]:
        """Return the event's points. Raises Rejected("field_too_long") where no store could keep it."""
        found: list[Point] = []
        if self._native:
            native = self._native_point(event, place, home, time_ns)
            if moment is not None:
                self._add_moment(native, moment)
            found.append(native)
        if self._as_home_assistant and (point := ha_point(event)) is not None:
            found.append(point)
        return found

    def bare_point(self, event: Event, place: Place, home: str, time_ns: int) -> Point | None:
        """Return where the event's point stands, without fields; None where our own schema is not written."""
        if not self._native:
            return None
        series = self._series.get((home, place)) or self._make_series(home, place)
        return Point(STATES if event.kind == "state" else OTHERS, series.tags, {}, time_ns)

    def _native_point(self, event: Event, place: Place, home: str, time_ns: int) -> Point:
        series = self._series.get((home, place)) or self._make_series(home, place)
        identity = f"{series.id_start}{time_ns}"
        if event.kind == "state":
            measurement, fields = STATES, _state_fields(event, identity)
            if time_ns >= series.described_until_ns:
                tags = (("home", tag_text(home)), ("series", tag_text(place.series)))
                series.described_until_ns = self.descriptions.add(event, place, tags, time_ns)
        else:
            measurement, fields = OTHERS, _other_fields(event, identity)
        if event.extras is not None:
            # Other events are few, and what enrichment says of them (a stack trace) is what they are stored for.
            fields.update(self._context_fields.of(event.extras) if event.kind == "state" else event.extras)
        for name, read in self._extra_fields:
            if (value := read(event, place)) is not None:
                fields[name] = value
        _check_lengths(fields)
        return Point(measurement, series.tags, fields, time_ns, event.slot)

    def _add_moment(self, point: Point, moment: Moment) -> None:
        known = self._moments.get(id(moment))
        if known is None:
            if len(self._moments) >= _MAX_MOMENTS:
                self._moments.clear()
            # A name that means something else is not a moment's to give.
            chosen = self._context_fields.of(moment.fields)
            fields = {name: value for name, value in chosen.items() if name not in _TAKEN}
            # With the moment itself: as long as it is kept, its id is not another's.
            known = self._moments[id(moment)] = (moment, SharedFields(fields))
        shared = known[1]
        if point.fields.keys().isdisjoint(shared.fields):
            point.shared = shared if shared.fields else None
        else:
            point.fields = {**shared.fields, **point.fields}

    def _make_series(self, home: str, place: Place) -> _Series:
        if len(self._series) >= _MAX_CACHED:
            self._series.clear()
        made = _Series(self._tags(home, place), event_id(home, tag_text(place.series), ""))
        self._series[home, place] = made
        return made

    def _tags(self, home: str, place: Place) -> Tags:
        values: dict[str, str] = {
            "home": home,
            "series": place.series,
            "domain": place.domain,
            "area": place.area,
            "device": place.device,
            "device_class": place.device_class,
            **{name: getattr(place, name) for name in self._extra_tags},
        }
        return tuple(sorted((name, tag_text(value)) for name, value in values.items()))


Reader = Callable[[Event, Place], FieldValue | None]


def _extra_fields(settings: StorageSettings) -> list[tuple[str, Reader]]:
    """Return the extra fields' names in the store and how each is read from an event. Raises InvalidSettings."""
    found: dict[str, Reader] = {}
    for setting in settings.extra_fields:
        name = setting.removeprefix("attribute:")
        if name in settings.extra_tags:
            # InfluxDB 3 takes no field that is called as a tag.
            raise errors.InvalidSettings(f"storage.extra_fields: {name!r} is a tag already (storage.extra_tags)")
        if name in found or (name != setting and (name in _TAKEN or name in _EXTRA or name in CONTEXT_NAMES)):
            raise errors.InvalidSettings(f"storage.extra_fields: the name {name!r} of {setting!r} is taken")
        found[name] = _extra_field(setting)
    return list(found.items())


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
    "integration": lambda _event, place: place.integration or None,
    "labels": lambda _event, place: ",".join(place.labels) or None,
    "last_changed": lambda event, _place: _time_text(event.last_changed_us),
    "parent_id": lambda event, _place: event.parent_id,
    "user_id": lambda event, _place: event.user_id,
    "origin": lambda event, _place: event.origin,
    "received_at": lambda event, _place: _time_text(event.received_ns // 1000),
    "fired_at": lambda event, _place: _time_text(event.time_fired_us),
    "receive_delay": lambda event, _place: delay_s(event, event.received_ns),
    "write_delay": lambda event, _place: delay_s(event, time.time_ns()),
}


def delay_s(event: Event, at_ns: int) -> float | None:
    """Return how long after it was fired something happened to an event; None where nobody says when that was.

    By the clocks of two machines: a little less than nothing is possible. What is read back from history has none.
    """
    if event.untimed or event.source in READ_BACK:
        return None
    fired_us = event.time_us if event.time_fired_us is None else event.time_fired_us
    return (at_ns // 1000 - fired_us) / 1_000_000


def _state_fields(event: Event, identity: str) -> dict[str, FieldValue]:
    # One `if` a field: a loop over them costs twice as much, and this is done for every event.
    fields: dict[str, FieldValue] = {
        "available": event.available,
        "event_id": identity,
        "source": event.source,
        "entity_id": event.entity_id or event.subject,
    }
    if (value := event.value) is not None:
        fields["value"] = value
    if (text := event.state) is not None:
        fields["state"] = text
    if (text := event.previous_state) is not None:
        fields["previous_state"] = text
    if (text := event.unit) is not None:
        fields["unit"] = text
    if (text := event.context_id) is not None:
        fields["context_id"] = text
    if event.source in READ_BACK:
        fields["origin"] = event.source
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
    for value in fields.values():
        if type(value) is str and len(value) > MAX_TEXT_BYTES // 4:
            _check_bytes(fields)
            return


def _check_bytes(fields: dict[str, FieldValue]) -> None:
    for name, value in fields.items():
        if isinstance(value, str) and (size := len(value.encode("utf-8", "replace"))) > MAX_TEXT_BYTES:
            raise errors.Rejected("field_too_long", f"{name} has {size} bytes, more than a store takes")
