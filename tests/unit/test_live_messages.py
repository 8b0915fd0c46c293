"""What stands in an entry of the live channel, how it is told, who wants to hear it, and where they are in it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from ingestor import errors, globs
from ingestor.events.event import Event, EventBatch, Moment, Place
from ingestor.live.channel import EntryId, Kept
from ingestor.live.cursor import Position, cursor_text, parse_cursor
from ingestor.live.entry import LiveEntry, Notice, Sign, decode_entry, encode_entry, entry_of
from ingestor.live.envelope import Messages
from ingestor.live.filter import MOST_PATTERNS, LiveFilter
from ingestor.storage.context_fields import ContextFields
from ingestor.storage.schema import parse_event_id

T0_US = 1_795_229_244_000_123
ENTRY_ID = EntryId(T0_US // 1000 + 20, 0)
PLACES = [
    Place("sensor.kitchen", "sensor", "Kitchen", "Ground", "Thermometer", "temperature", "zha"),
    Place("light.hall", "light", "Hall", device="Lamp"),
    Place("automation.evening", "automation"),
]
ON = {"state": "on", "previous_state": "off"}


def event(place: int = 0, **changes: Any) -> Event:
    series = PLACES[max(place, 0) % len(PLACES)].series
    made = Event(
        0, "state", "state_changed", series, series, T0_US, T0_US * 1000, "websocket", 7, state="21.5", place=place
    )
    return msgspec.structs.replace(made, **changes)


def triggered() -> Event:
    return event(2, kind="event", event_type="automation_triggered", state=None, data={"source": "sun"})


def messages_of(*events: Event, moments: list[Moment] | None = None, notices: list[Notice] | None = None) -> Messages:
    batch = EventBatch("B", "villa", "websocket", "j", 0, len(events), list(events), places=PLACES)
    batch.moments = moments or []
    entry = entry_of(batch, [(one, one.time_us * 1000 + 7, False) for one in events]) or LiveEntry("villa")
    entry.notices = notices or []
    read = decode_entry(encode_entry(entry))
    return Messages(read, ENTRY_ID, ContextFields(("weather_*", "cause_*")).of)


def told(messages: Messages, form: Any = "native") -> list[dict[str, Any]]:
    return [json.loads(messages.render(index, form)) for index in range(len(messages))]


def names(messages: Messages) -> list[str]:
    return [subject.name for subject in messages.subjects]


def test_an_event_is_told_with_what_is_known_of_it_and_nothing_else() -> None:
    moment = Moment(0, 1, {"weather_condition": "sunny", "season": "winter"})
    told_of = event(
        value=21.5, unit="°C", moment=0, extras={"cause_kind": "user", "cause_depth": 0}, context_id="C", available=True
    )

    (message,) = told(messages_of(told_of, moments=[moment]))

    assert message == {
        "id": f"villa~sensor.kitchen~{T0_US * 1000 + 7}",
        "type": "event.new",
        "home": "villa",
        "time": "2026-11-21T02:47:24.000123Z",
        "subject": "sensor.kitchen",
        "data": {
            "event_id": f"villa~sensor.kitchen~{T0_US * 1000 + 7}",
            "kind": "state",
            "event_type": "state_changed",
            "series": "sensor.kitchen",
            "entity_id": "sensor.kitchen",
            "domain": "sensor",
            "area": "Kitchen",
            "floor": "Ground",
            "device": "Thermometer",
            "device_class": "temperature",
            "integration": "zha",
            "state": "21.5",
            "value": 21.5,
            "unit": "°C",
            "available": True,
            "source": "websocket",
            "context_id": "C",
            "cause_kind": "user",
            "more": {"weather_condition": "sunny", "cause_depth": 0},
        },
    }
    assert parse_event_id(message["id"]) == ("villa", "sensor.kitchen", T0_US * 1000 + 7)


def test_a_cloud_event_has_what_the_specification_requires_and_the_same_data() -> None:
    messages = messages_of(event())

    (native,), (cloud,) = told(messages), told(messages, "cloudevents")

    assert (cloud["specversion"], cloud["datacontenttype"]) == ("1.0", "application/json")
    assert (cloud["source"], cloud["type"]) == ("/ha-ingestor/homes/villa", "ha_ingestor.event.new")
    assert {name: cloud[name] for name in ("id", "time", "subject", "data", "home")} == {
        name: native[name] for name in ("id", "time", "subject", "data", "home")
    }


def test_a_message_is_rendered_once_for_all_who_listen() -> None:
    messages = messages_of(event())

    assert messages.render(0, "native") is messages.render(0, "native")


def test_an_automation_that_is_triggered_is_told_of_beside_its_event_with_an_id_of_its_own() -> None:
    messages = messages_of(event(), triggered())

    found = told(messages)

    assert names(messages) == ["event.new", "event.new", "automation.triggered"] == [one["type"] for one in found]
    assert found[2]["id"] == found[1]["id"] + "/automation.triggered"
    assert found[2]["data"] == found[1]["data"]


def test_a_device_that_goes_with_all_its_entities_is_told_of_once_and_when_it_is_back() -> None:
    gone: dict[str, Any] = {"state": "unavailable", "previous_state": "21.5"}
    back: dict[str, Any] = {"state": "21.5", "previous_state": "unavailable"}

    messages = messages_of(event(**gone), event(**gone, time_us=T0_US + 1), event(1, **back), event(2, **gone))

    assert names(messages)[4:] == ["device.offline", "device.online"]
    assert [(one["type"], one["subject"]) for one in told(messages)[4:]] == [
        ("device.offline", "Thermometer"),
        ("device.online", "Lamp"),
    ]


@pytest.mark.parametrize(
    "quiet",
    [
        {"state": "unavailable", "previous_state": "unavailable"},
        {"state": "unavailable", "previous_state": None},
        {"state": None, "previous_state": "unavailable"},
        {"state": "unknown", "previous_state": "on"},
    ],
)
def test_what_does_not_tell_of_a_device_that_comes_or_goes_is_no_sign_of_it(quiet: dict[str, Any]) -> None:
    assert names(messages_of(event(**quiet))) == ["event.new"]


def test_what_happened_more_than_a_minute_before_it_is_told_is_marked_late() -> None:
    messages = messages_of(event(), event(time_us=T0_US - 61_000_000))

    assert [one.get("late", False) for one in told(messages)] == [False, True]


def test_an_event_that_was_written_over_is_told_as_updated() -> None:
    batch = EventBatch("B", "villa", "websocket", "j", 0, 2, [], places=PLACES)
    entry = entry_of(batch, [(event(), 1, False), (event(1), 2, True)])

    assert entry is not None
    assert names(Messages(entry, ENTRY_ID)) == ["event.new", "event.updated"]


def test_what_is_told_anew_of_an_event_has_an_id_of_its_own_and_the_same_when_it_is_told_again() -> None:
    batch = EventBatch("B", "villa", "websocket", "j", 0, 1, [], places=PLACES)

    def ids(state: str, *, is_old: bool) -> tuple[str, str]:
        entry = entry_of(batch, [(event(state=state), 1, is_old)])
        assert entry is not None
        (message,) = told(Messages(entry, ENTRY_ID))
        return message["id"], message["data"]["event_id"]

    first, repaired, again, other = (
        ids("20", is_old=False),
        ids("21", is_old=True),
        ids("21", is_old=True),
        ids("22", is_old=True),
    )

    assert first[0] == first[1] == repaired[1] == other[1]
    assert repaired == again
    assert len({first[0], repaired[0], other[0]}) == 3
    assert repaired[0].startswith(f"{first[0]}/event.updated/")


def test_of_hourly_means_and_of_nothing_nobody_is_told() -> None:
    batch = EventBatch("B", "villa", "statistics", "j", 0, 1, [], places=PLACES)

    assert entry_of(batch, [(event(), 1, False)]) is None
    assert entry_of(EventBatch("B", "villa", "websocket", "j", 0, 0, []), []) is None


def test_a_notice_is_told_as_it_is() -> None:
    notice = Notice("system.error", "store-1", T0_US, "store", {"detail": "away"})

    messages = messages_of(event(), notices=[notice])

    assert told(messages)[1] == {
        "id": "store-1",
        "type": "system.error",
        "home": "villa",
        "time": "2026-11-21T02:47:24.000123Z",
        "subject": "store",
        "data": {"detail": "away"},
    }


@pytest.mark.parametrize("body", [b"", b"HAIe\x01x", b"HAIl\x02x", b"HAIl\x01rubbish", b"HAIl\x01(\xb5/\xfd"])
def test_what_is_no_entry_of_ours_is_refused(body: bytes) -> None:
    with pytest.raises(errors.UnreadableMessage):
        decode_entry(body)


@pytest.mark.parametrize(
    "changes",
    [
        {"times_ns": []},
        {"places": []},
        {"events": [event(-1)]},
        {"events": [event(3)]},
        {"signs": [Sign("device.offline", 1)]},
        {"signs": [Sign("device.offline", -1)]},
    ],
)
def test_an_entry_that_leads_nowhere_is_refused(changes: dict[str, Any]) -> None:
    whole: dict[str, Any] = {"events": [event()], "times_ns": [1], "places": PLACES}
    assert decode_entry(encode_entry(LiveEntry("villa", **whole))).times_ns == [1]

    with pytest.raises(errors.UnreadableMessage):
        decode_entry(encode_entry(LiveEntry("villa", **(whole | changes))))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (LiveFilter(), (0, 1, 2, 3)),
        (LiveFilter(entities=("sensor.*",)), (0,)),
        (LiveFilter(entities=("sensor.*", "light.h?ll")), (0, 1)),
        (LiveFilter(domains=("automation",)), (2, 3)),
        (LiveFilter(areas=("kitchen", "HALL")), (0, 1)),
        (LiveFilter(devices=("Lamp",)), (1,)),
        (LiveFilter(types=("automation.*",)), (3,)),
        (LiveFilter(types=("automation_*",)), (2,)),
        (LiveFilter(types=("event.new",), domains=("automation",)), (2,)),
        (LiveFilter(areas=("Kitchen",), domains=("light",)), ()),
        (LiveFilter(homes=("villa",)), (0, 1, 2, 3)),
        (LiveFilter(homes=("cabin",)), ()),
    ],
)
def test_of_one_kind_any_pattern_may_fit_and_of_different_kinds_all_must(
    wanted: LiveFilter, found: tuple[int, ...]
) -> None:
    wanted.check()

    assert wanted.select(messages_of(event(), event(1, **ON), triggered())) == found


@pytest.mark.parametrize(
    "wrong",
    [
        LiveFilter(types=("event.newer",)),
        LiveFilter(entities=("",)),
        LiveFilter(entities=("x" * 256,)),
        LiveFilter(areas=tuple(str(number) for number in range(MOST_PATTERNS + 1))),
    ],
)
def test_a_filter_that_could_never_fit_or_is_too_long_is_refused(wrong: LiveFilter) -> None:
    with pytest.raises(errors.Rejected, match="invalid_filter"):
        wrong.check()


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    wanted = LiveFilter(entities=("*a" * 60 + "b",))

    assert wanted.select(messages_of(event(1, entity_id="a" * 255))) == ()


@pytest.mark.parametrize(
    ("glob", "expected"),
    [("my[1]", ["my[1]"]), ("my?1?", ["my[1]"]), ("my*", ["my[1]", "my1"]), ("m.*", []), ("[!x]y1", []), ("MY1", [])],
)
def test_in_a_glob_only_star_and_question_mark_stand_for_something_else(glob: str, expected: list[str]) -> None:
    assert [name for name in ("my[1]", "my1") if globs.compiled((glob,)).match(name)] == expected


def test_a_cursor_says_the_same_after_it_was_text() -> None:
    cursor = {"villa": Position(EntryId(1_795_229_244_000, 3), 17), "cabin": Position(EntryId(1, 0))}

    text = cursor_text(cursor)

    assert text == "cabin:1-0,villa:1795229244000-3.17"
    assert parse_cursor(text) == cursor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "villa",
        "villa:",
        "villa:1",
        "villa:1-x",
        "villa:1-2.",
        "villa:1-2.x",
        "villa:1-2,villa:3-4",
        "Villa:1-2",
        "villa:99999999999999999999-0",
        "villa:1-2.9999999999",
        ",".join(f"h{number}:1-1" for number in range(101)),
        "villa:-1-2",
        "villa:1-٣",
    ],
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(errors.Rejected, match="invalid_cursor"):
        parse_cursor(text)


def test_a_position_is_lost_when_something_later_is_gone_or_its_stream_is() -> None:
    kept = Kept(EntryId(10, 0), EntryId(20, 0))

    assert not Position(EntryId(10, 0)).is_lost(kept)
    assert not Position(EntryId(15, 2), 3).is_lost(kept)
    assert not Position(EntryId(20, 0)).is_lost(kept)
    assert Position(EntryId(9, 9)).is_lost(kept)
    assert Position(EntryId(10, 0), 3).is_lost(kept)
    assert Position(EntryId(20, 1)).is_lost(kept)
