"""From events to points: the same tags always, few and typed fields, an id that says where the point is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor import errors
from ingestor.events.event import Event, Moment, Place
from ingestor.events.identity import state_identity
from ingestor.events.point import Point
from ingestor.settings import StorageSettings
from ingestor.storage.schema import (
    CONTEXT,
    MAX_TEXT_BYTES,
    OTHERS,
    STATES,
    UNKNOWN,
    PointBuilder,
    event_id,
    parse_event_id,
    point_key,
    point_time_ns,
    tag_text,
)

TAGS = ["area", "device", "device_class", "domain", "home", "series"]
KITCHEN = Place(
    "sensor.kitchen", "sensor", area="Kitchen", device="abc", device_class="temperature", integration="mqtt"
)
NOWHERE = Place("sun.sun", "sun")


def state(**more: Any) -> Event:
    fields = {
        "slot": 3,
        "kind": "state",
        "event_type": "state_changed",
        "subject": "sensor.kitchen",
        "entity_id": "sensor.kitchen",
        "time_us": 1_795_229_244_031_714,
        "received_ns": 1_795_229_244_100_000_000,
        "source": "websocket",
        "identity": 4_042,
        "state": "21.5",
        "value": 21.5,
        "previous_state": "21.4",
        "unit": "°C",
        "context_id": "01HQ",
        "parent_id": "01PARENT",
        "user_id": "someone",
        "origin": "LOCAL",
        "last_changed_us": 1_795_229_244_000_000,
        "attributes": {"friendly_name": "Kitchen", "options": ["a", "ö"], "min": 3},
    }
    return Event(**{**fields, **more})


def called(**more: Any) -> Event:
    other = {"kind": "event", "event_type": "call_service", "subject": "call_service:light.turn_on", "data": {"a": 1}}
    return state(**{**other, "entity_id": None, "attributes": None, "last_changed_us": None, **more})


def build(event: Event, place: Place = KITCHEN, time_ns: int = 0, **settings: Any) -> Point:
    (point,) = PointBuilder(StorageSettings(**settings)).points(event, place, "home", time_ns or point_time_ns(event))
    return point


@pytest.mark.parametrize("place", [KITCHEN, NOWHERE, Place("", "")])
@pytest.mark.parametrize("event", [state(), called(), state(state=None, value=None, unit=None)])
def test_every_point_has_the_same_tags_whatever_is_known(event: Event, place: Place) -> None:
    point = build(event, place)

    assert [name for name, _ in point.tags] == TAGS
    assert all(value for _, value in point.tags)


def test_what_is_not_known_is_a_dash_in_a_tag() -> None:
    tags = dict(build(state(), NOWHERE).tags)

    assert tags == {
        "home": "home",
        "series": "sun.sun",
        "domain": "sun",
        "area": UNKNOWN,
        "device": UNKNOWN,
        "device_class": UNKNOWN,
    }


def test_by_default_a_state_has_nine_fields_of_one_type_each() -> None:
    point = build(state())

    assert point.measurement == STATES
    assert {name: type(value) for name, value in point.fields.items()} == {
        "value": float,
        "state": str,
        "available": bool,
        "previous_state": str,
        "unit": str,
        "entity_id": str,
        "event_id": str,
        "context_id": str,
        "source": str,
    }


def test_by_default_another_event_has_at_most_ten_fields_of_one_type_each() -> None:
    point = build(called(entity_id="light.desk"))

    assert point.measurement == OTHERS
    assert set(point.fields) == {
        "event_type",
        "event_id",
        "source",
        "entity_id",
        "context_id",
        "parent_id",
        "user_id",
        "origin",
        "data",
    }
    assert {type(value) for value in point.fields.values()} == {str}
    assert json.loads(str(point.fields["data"])) == {"a": 1}


def test_a_poorer_source_leaves_out_what_it_does_not_know() -> None:
    poor = state(source="statestream", previous_state=None, unit=None, context_id=None)

    assert set(build(poor, NOWHERE).fields) == {"value", "state", "available", "entity_id", "event_id", "source"}


def test_a_removal_has_no_state() -> None:
    fields = build(state(state=None, value=None, available=False)).fields

    assert "state" not in fields
    assert fields["available"] is False
    assert fields["previous_state"] == "21.4"


def test_the_points_of_a_series_share_one_tags_object() -> None:
    builder = PointBuilder(StorageSettings())

    first, second = (builder.points(state(), place, "home", 5)[0] for place in (KITCHEN, KITCHEN))

    assert first.tags is second.tags  # so that it can be a cache key


def test_the_time_is_home_assistants_own_and_three_digits_of_the_identity() -> None:
    assert point_time_ns(state()) == 1_795_229_244_031_714_042
    assert point_time_ns(state(identity=7)) == 1_795_229_244_031_714_007


def test_two_states_of_one_microsecond_get_times_of_their_own() -> None:
    times = {
        point_time_ns(state(state=text, identity=state_identity(text))) for text in ("on", "off", "unavailable", None)
    }

    assert len(times) == 4
    assert {time_ns // 1000 for time_ns in times} == {1_795_229_244_031_714}


def test_the_event_id_is_where_the_writer_put_the_point() -> None:
    point = build(state(), time_ns=1_795_229_244_031_714_043)

    assert point.time_ns == 1_795_229_244_031_714_043
    assert point.fields["event_id"] == "home~sensor.kitchen~1795229244031714043"


@given(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,39}", fullmatch=True), st.text(min_size=1), st.integers(0, 2**63))
def test_an_event_id_can_be_read_back(home: str, series: str, time_ns: int) -> None:
    assert parse_event_id(event_id(home, series, time_ns)) == (home, series, time_ns)


@given(st.text(st.sampled_from("a~\\\n\r -")))
def test_the_series_in_the_event_id_is_the_tag(series: str) -> None:
    point = build(state(), Place(series, "sensor"))

    _, named, _ = parse_event_id(str(point.fields["event_id"]))
    assert named == dict(point.tags)["series"]


@pytest.mark.parametrize(
    "text",
    ["", "~", "a~b", "home~x~", "home~~5", "~x~5", "home~x~5.0", "home~x~-5", "home~x~٣", f"home~x~{'9' * 5000}"],
)
def test_what_is_no_event_id_is_rejected(text: str) -> None:
    with pytest.raises(errors.Rejected, match="invalid_event_id"):
        parse_event_id(text)


def test_a_point_key_tells_home_series_kind_and_time_apart() -> None:
    keys = {
        point_key(home, series, kind, time_ns)
        for home in ("a", "b")
        for series in ("x", "y")
        for kind in ("state", "event")
        for time_ns in (1, 2)
    }

    assert len(keys) == 16
    assert {len(key) for key in keys} == {8}
    assert point_key("a", "half \ud83d", "state", 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kitchen", "Kitchen"),
        ("", "-"),
        ("a\nb\r\nc\td", "a b  c d"),
        ("D:\\", "D:\\_"),
        ("\\", "\\_"),
        ("a\\b", "a\\b"),
    ],
)
def test_tag_text_is_what_every_store_can_keep(text: str, expected: str) -> None:
    assert tag_text(text) == expected


def test_more_tags_are_there_for_every_point_and_no_field_has_their_name() -> None:
    floors = Place("sensor.kitchen", "sensor", floor="Ground", integration="mqtt")
    known, unknown = (build(state(), place, extra_tags=("floor", "integration")) for place in (floors, NOWHERE))

    assert (
        [name for name, _ in known.tags]
        == [name for name, _ in unknown.tags]
        == sorted([*TAGS, "floor", "integration"])
    )
    assert dict(known.tags)["floor"] == "Ground"
    assert dict(unknown.tags)["integration"] == UNKNOWN
    assert "integration" not in known.fields


def test_a_tag_is_not_also_a_field() -> None:
    with pytest.raises(errors.InvalidSettings, match="'integration' is a tag already"):
        PointBuilder(StorageSettings(extra_tags=("integration",), extra_fields=("integration",)))


def test_the_integration_is_a_field_where_asked_for() -> None:
    assert build(state(), extra_fields=("integration",)).fields["integration"] == "mqtt"
    assert "integration" not in build(state(), NOWHERE, extra_fields=("integration",)).fields


def test_an_entity_is_described_once_a_day_and_when_its_place_changes() -> None:
    builder = PointBuilder(StorageSettings())
    place = Place("sensor.kitchen", "sensor", area="Kitchen", floor="Ground", integration="mqtt", labels=("a", "b"))
    hour_ns = 3_600_000_000_000
    begins_ns = 500_000 * hour_ns

    builder.points(state(), place, "home", begins_ns + 1)
    (first,) = builder.descriptions.waiting()
    builder.descriptions.stored([first])
    builder.points(state(), place, "home", begins_ns + 24 * hour_ns - 1)
    quiet = builder.descriptions.waiting()
    builder.points(state(), place, "home", begins_ns + 24 * hour_ns)
    (next_day,) = builder.descriptions.waiting()
    builder.points(state(), Place("sensor.kitchen", "sensor", area="Attic"), "home", begins_ns + 25 * hour_ns + 5)
    (moved,) = builder.descriptions.waiting()

    assert quiet == []
    assert (first.measurement, first.tags, first.time_ns) == (
        "home_assistant_entities",
        (("home", "home"), ("series", "sensor.kitchen")),
        begins_ns,
    )
    assert first.fields == {
        "entity_id": "sensor.kitchen",
        "area": "Kitchen",
        "floor": "Ground",
        "integration": "mqtt",
        "labels": "a,b",
        "unit": "°C",
    }
    assert (next_day.fields, next_day.time_ns) == (first.fields, begins_ns + 24 * hour_ns)
    assert (moved.fields["area"], moved.time_ns) == ("Attic", begins_ns + 25 * hour_ns)


def test_a_description_waits_until_the_store_has_it() -> None:
    builder = PointBuilder(StorageSettings())
    builder.points(state(), NOWHERE, "home", 1)

    assert len(builder.descriptions.waiting()) == len(builder.descriptions.waiting()) == 1


def test_more_fields_are_text_whatever_they_hold() -> None:
    place = Place("sensor.kitchen", "sensor", labels=("cold", "wet"))
    wanted = ("labels", "last_changed", "parent_id", "user_id", "origin", "received_at", "attributes")

    point = build(state(), place, extra_fields=(*wanted, "attribute:options", "attribute:min", "attribute:none"))

    more = {name: point.fields[name] for name in (*wanted, "options", "min")}
    assert "none" not in point.fields
    assert more == {
        "labels": "cold,wet",
        "last_changed": "2026-11-21T02:47:24.000000+00:00",
        "parent_id": "01PARENT",
        "user_id": "someone",
        "origin": "LOCAL",
        "received_at": "2026-11-21T02:47:24.100000+00:00",
        "attributes": '{"friendly_name":"Kitchen","options":["a","ö"],"min":3}',
        "options": '["a","ö"]',
        "min": "3",
    }


def test_more_fields_that_an_event_does_not_have_are_left_out() -> None:
    wanted = ("labels", "last_changed", "attributes", "attribute:friendly_name")

    assert set(wanted).isdisjoint(build(called(), NOWHERE, extra_fields=wanted).fields)
    assert "friendly_name" not in build(called(), NOWHERE, extra_fields=wanted).fields


@pytest.mark.parametrize(
    "fields",
    [
        ("nonsense",),
        ("attribute:time",),
        ("attribute:state",),
        ("attribute:device_class",),
        ("attribute:attributes",),
        ("attribute:x", "attribute:x"),
        ("labels", "labels"),
    ],
)
def test_more_fields_that_would_mean_two_things_are_refused(fields: tuple[str, ...]) -> None:
    with pytest.raises(errors.InvalidSettings, match=r"storage\.extra_fields"):
        PointBuilder(StorageSettings(extra_fields=fields))


@pytest.mark.parametrize("text", ["x" * MAX_TEXT_BYTES, "ü" * (MAX_TEXT_BYTES // 2), "\ud83d" * MAX_TEXT_BYTES])
def test_the_longest_text_is_kept_and_one_byte_more_rejected(text: str) -> None:
    assert build(state(state=text)).fields["state"] == text

    with pytest.raises(errors.Rejected, match="field_too_long"):
        build(state(state=text + "x"))


def test_an_event_with_too_much_data_is_rejected_by_name() -> None:
    with pytest.raises(errors.Rejected) as caught:
        build(called(data={"text": "x" * MAX_TEXT_BYTES}))

    assert caught.value.reason == "field_too_long"
    assert "data" in caught.value.detail


@pytest.mark.parametrize(
    ("schema", "measurements"),
    [("native", [STATES]), ("home-assistant", ["°C"]), ("both", [STATES, "°C"])],
)
def test_the_schema_says_which_points_are_made(schema: str, measurements: list[str]) -> None:
    builder = PointBuilder(StorageSettings.model_validate({"schema": schema}))
    event = state(attributes={"unit_of_measurement": "°C"})

    points = builder.points(event, KITCHEN, "home", point_time_ns(event))

    assert [point.measurement for point in points] == measurements
    assert {point.slot for point in points} == {3}


def test_the_series_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestor.storage.schema._MAX_CACHED", 3)
    builder = PointBuilder(StorageSettings())

    for number in range(10):
        (point,) = builder.points(state(), Place(f"sensor.n{number}", "sensor"), "home", 5)
        assert dict(point.tags)["series"] == f"sensor.n{number}"

    assert len(builder._series) <= 3


MOMENT = Moment(0, 1, {"season": "winter", "local_hour": 3, "value": 7.0})


def test_all_points_of_a_moment_share_its_fields_and_a_name_that_means_something_else_is_not_its_to_give() -> None:
    builder = PointBuilder(StorageSettings(context_fields=("*",)))

    (first,) = builder.points(state(), KITCHEN, "home", 5, MOMENT)
    (second,) = builder.points(state(value=None), KITCHEN, "home", 6, MOMENT)

    assert first.shared is not None
    assert first.shared is second.shared
    assert dict(first.shared.fields) == {"season": "winter", "local_hour": 3}
    assert (first.all_fields()["value"], "value" in second.all_fields()) == (21.5, False)


def test_a_field_of_the_events_own_wins_over_its_moments() -> None:
    (point,) = PointBuilder(StorageSettings(context_fields=("*",))).points(
        state(extras={"season": "mine"}), KITCHEN, "home", 5, MOMENT
    )

    assert (point.shared, point.fields["season"], point.fields["local_hour"]) == (None, "mine", 3)


def test_an_attribute_cannot_take_the_name_of_a_context_field() -> None:
    with pytest.raises(errors.InvalidSettings, match="season"):
        PointBuilder(StorageSettings(extra_fields=("attribute:season",)))


def test_the_moments_kept_are_bounded_and_none_is_taken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestor.storage.schema._MAX_MOMENTS", 3)
    builder = PointBuilder(StorageSettings(context_fields=("*",)))

    for hour in range(50):
        (point,) = builder.points(state(), KITCHEN, "home", 5, Moment(0, 1, {"local_hour": hour}))
        assert point.all_fields()["local_hour"] == hour

    assert len(builder._moments) <= 3


def test_the_delays_are_from_when_the_event_was_fired_and_only_where_that_is_known() -> None:
    builder = PointBuilder(StorageSettings(extra_fields=("fired_at", "receive_delay", "write_delay")))
    fired_us = 1_795_229_244_000_000

    (timed,) = builder.points(
        state(time_fired_us=fired_us, received_ns=fired_us * 1000 + 250_000_000), KITCHEN, "home", 5
    )
    (read_back,) = builder.points(state(source="history"), KITCHEN, "home", 5)
    (untimed,) = builder.points(state(untimed=True), KITCHEN, "home", 5)

    assert (timed.fields["fired_at"], timed.fields["receive_delay"]) == ("2026-11-21T02:47:24.000000+00:00", 0.25)
    assert isinstance(timed.fields["write_delay"], float)
    assert not {"receive_delay", "write_delay"} & {*read_back.fields, *untimed.fields}


def test_a_state_has_the_chosen_fields_of_enrichment_and_no_cause_that_is_none() -> None:
    builder = PointBuilder(StorageSettings())
    extras = {"sequence": 3, "cause_kind": "automation", "cause_id": "automation.a", "geo_cell": "u33"}

    (one,) = builder.points(state(extras=extras), KITCHEN, "home", 5)
    (other,) = builder.points(state(extras={"cause_kind": "device"}), KITCHEN, "home", 6)

    assert {name: one.fields.get(name) for name in extras} == {**extras, "sequence": None}
    assert "cause_kind" not in other.fields


def test_an_event_that_is_no_state_keeps_all_that_enrichment_says() -> None:
    logged = state(kind="event", event_type="system_log_event", extras={"stack_trace": "Traceback"})

    (point,) = PointBuilder(StorageSettings()).points(logged, KITCHEN, "home", 5)

    assert point.fields["stack_trace"] == "Traceback"


def test_a_moment_is_a_point_of_its_own_until_it_is_stored_and_again_when_it_says_something_else() -> None:
    builder = PointBuilder(StorageSettings())
    more = Moment(MOMENT.from_us, MOMENT.until_us, {**MOMENT.fields, "persons_home": 2})

    (point,) = builder.context_points("home", [MOMENT])
    again = builder.context_points("home", [MOMENT])
    builder.context_stored("home", [MOMENT])

    assert (point.measurement, point.tags, point.time_ns) == (CONTEXT, (("home", "home"),), MOMENT.from_us * 1000)
    assert point.fields == MOMENT.fields
    assert len(again) == 1
    assert builder.context_points("home", [MOMENT]) == []
    assert [one.fields for one in builder.context_points("home", [MOMENT, more])] == [more.fields]
    assert len(builder.context_points("other", [MOMENT])) == 1


def test_the_home_assistant_schema_has_no_context_of_ours() -> None:
    assert PointBuilder(StorageSettings(schema_="home-assistant")).context_points("home", [MOMENT]) == []
