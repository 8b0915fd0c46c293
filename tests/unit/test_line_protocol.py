"""The line protocol encoder, against a parser of its own that was written from the specification."""

from __future__ import annotations

import enum
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.events.point import FieldValue, Point, SharedFields
from ingestor.storage.line_protocol import Encoder
from tests.unit.line_protocol_parser import parse_line, parse_lines

nasty = st.text(st.sampled_from("ab\\\",= \n\r#'é🏠\t\x00"), max_size=12)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
texts = st.one_of(nasty, anything)
names = texts.filter(bool)
measurements = names.filter(lambda text: not text.startswith("#"))
values = st.one_of(st.floats(), st.booleans(), st.integers(-(2**63), 2**63 - 1), texts)
tag_sets = st.lists(st.tuples(names, texts), max_size=5).map(lambda pairs: tuple(sorted(dict(pairs).items())))
points = st.builds(
    Point, measurements, tag_sets, st.dictionaries(names, values, max_size=8), st.integers(-(2**63) + 2, 2**63 - 2)
)


def outside_strings(text: str) -> str:
    """What can be said of a name: no line break, no backslash at its end."""
    text = text.replace("\n", " ").replace("\r", " ")
    return f"{text}_" if text.endswith("\\") else text


def is_stored(value: FieldValue) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


@given(points)
def test_what_an_independent_parser_reads_is_the_point(point: Point) -> None:
    line = Encoder().line(point)

    fields = [(outside_strings(name), value) for name, value in point.fields.items() if is_stored(value)]
    if not fields:
        assert line == ""
        return
    parsed = parse_line(line)
    assert parsed.measurement == outside_strings(point.measurement)
    assert parsed.tags == [(outside_strings(name), outside_strings(value)) for name, value in point.tags if value]
    assert parsed.fields == fields
    assert [type(value) for _, value in parsed.fields] == [type(value) for _, value in fields]
    assert parsed.time_ns == point.time_ns


@given(st.lists(points, max_size=6))
def test_points_do_not_touch_each_other_in_a_request(several: list[Point]) -> None:
    one, alone = Encoder(), Encoder()

    parsed = parse_lines(one.encode(several))

    assert parsed == [parse_line(line) for point in several if (line := alone.line(point))]


@given(st.lists(points, max_size=4))
def test_an_encoder_that_knows_a_series_says_the_same_as_a_new_one(several: list[Point]) -> None:
    used = Encoder()
    used.encode(several)

    assert used.encode(several) == Encoder().encode(several)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"value": 21.0}, "m,a=b value=21.0 5"),
        ({"value": 1e22}, "m,a=b value=1e+22 5"),
        ({"value": -0.0}, "m,a=b value=-0.0 5"),
        ({"value": 3}, "m,a=b value=3i 5"),
        ({"available": True, "open": False}, "m,a=b available=true,open=false 5"),
        ({"state": ""}, 'm,a=b state="" 5'),
        ({"state": 'say "hi"'}, 'm,a=b state="say \\"hi\\"" 5'),
        ({"state": "C:\\"}, 'm,a=b state="C:\\\\" 5'),
        ({"state": "two\nlines"}, 'm,a=b state="two\nlines" 5'),
        ({"a key,b=c": 1.0}, "m,a=b a\\ key\\,b\\=c=1.0 5"),
        ({"value": math.nan, "state": "nan"}, 'm,a=b state="nan" 5'),
    ],
)
def test_fields_look_as_the_reference_shows_them(fields: dict[str, FieldValue], expected: str) -> None:
    assert Encoder().line(Point("m", (("a", "b"),), fields, 5)) == expected


@pytest.mark.parametrize("fields", [{}, {"value": math.nan}, {"value": math.inf}, {"": 1.0}])
def test_a_point_without_a_field_that_can_be_stored_gives_no_line(fields: dict[str, FieldValue]) -> None:
    assert Encoder().line(Point("m", (), fields, 5)) == ""


@pytest.mark.parametrize("measurement", ["", "#", "# of people"])
def test_a_measurement_that_would_be_a_comment_gives_no_line(measurement: str) -> None:
    assert Encoder().line(Point(measurement, (), {"value": 1.0}, 5)) == ""


def test_tags_are_sorted_and_empty_ones_left_out() -> None:
    point = Point("m", (("b", "2"), ("c", ""), ("a", "1")), {"value": 1.0}, 5)

    assert Encoder().line(point) == "m,a=1,b=2 value=1.0 5"


def test_a_string_enumeration_is_text() -> None:
    class Source(enum.StrEnum):
        MQTT = "mqtt"

    assert Encoder().line(Point("m", (), {"source": Source.MQTT}, 5)) == 'm source="mqtt" 5'


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    body = Encoder().encode([Point("m", (("a", "\ud83d"),), {"state": "x\udc00"}, 5)])

    assert body == b'm,a=? state="x?" 5'


def test_full_caches_are_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestor.storage.line_protocol._MAX_CACHED", 3)
    encoder = Encoder()

    for number in range(10):
        line = encoder.line(Point("m", (("a", str(number)),), {f"f{number}": 1.0, "value": 2.0}, number))
        assert line == f"m,a={number} f{number}=1.0,value=2.0 {number}"

    assert len(encoder._series) <= 3
    assert len(encoder._keys) <= 3


def test_shared_fields_stand_on_the_line_as_if_they_were_the_points_own_and_are_rendered_once() -> None:
    encoder = Encoder()
    shared = SharedFields({"season": "winter", "local_hour": 3, "sun_elevation": float("nan"), "weekend": True})

    lines = [encoder.line(Point("m", (), {"value": float(number)}, number, shared=shared)) for number in range(3)]

    assert lines[2] == 'm value=2.0,season="winter",local_hour=3i,weekend=true 2'
    assert list(shared.rendered.values()) == ['season="winter",local_hour=3i,weekend=true']


def test_a_point_may_have_shared_fields_alone_and_shared_fields_that_no_line_can_hold_leave_no_trace() -> None:
    alone = Point("m", (), {"value": float("inf")}, 5, shared=SharedFields({"season": "winter"}))
    empty = Point("m", (), {"value": 1.0}, 5, shared=SharedFields({"sun_elevation": float("nan")}))

    assert [Encoder().line(point) for point in (alone, empty)] == ['m season="winter" 5', "m value=1.0 5"]
