"""What a person reads of a point that a store refused, for what each version says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ingestor.events.point import FieldValue, Point
from ingestor.storage.diagnosis import Conflict, conflict_of, explain, may_be_meant, reason_of

CONFLICT_1 = (
    'partial write: field type conflict: input field "value" on measurement "m" is type string,'
    " already exists as type float dropped=1"
)
CONFLICT_3 = (
    "invalid column type for column 'value', expected iox::column_type::field::float, "
    "got iox::column_type::field::string"
)


def point(**fields: FieldValue) -> Point:
    return Point("m", (("home", "home"), ("series", "sensor.x")), fields or {"value": 1.0}, 1_600_000_000_000_000_000)


@pytest.mark.parametrize("message", [CONFLICT_1, f"failure writing points to database: {CONFLICT_1}", CONFLICT_3])
def test_a_type_conflict_says_who_wrote_what_to_which_field_and_since_when_it_is_another(message: str) -> None:
    told = explain(point(value="warm"), message, datetime(2026, 11, 3, 7, 8, 9, tzinfo=UTC))

    assert told.startswith("`sensor.x` wrote text to `value`, which is a number in `m` since 2026-11-03 07:08:09 UTC")
    assert message in told
    assert conflict_of(message) == Conflict("value", "text", "a number")


@pytest.mark.parametrize(
    ("message", "reason", "words"),
    [
        (
            "partial write: points beyond retention policy dropped=1",
            "beyond_retention",
            "the time 2020-09-13 12:26:40 UTC",
        ),
        (
            'partial write: max-values-per-tag limit exceeded (3/3): measurement="m" tag="b" value="x3" dropped=1',
            "too_many_tag_values",
            "a new value of the tag `b`, which has 3 already",
        ),
        ("partial write: max-series-per-database limit exceeded: (6) dropped=1", "too_many_series", "is new, and"),
        (
            "unable to parse 'm,a=x value=1 9223372036854775807': time outside range -9223372036854775806 - 9",
            "time_out_of_range",
            "which the store cannot hold",
        ),
        (
            "unable to parse 'm,a=x value=1 99': strconv.ParseInt: parsing \"99\": value out of range",
            "time_out_of_range",
            "which the store cannot hold",
        ),
        (
            "unable to parse 'm,a=xxx value=1': max key length exceeded: 70005 > 65535",
            "tags_too_long",
            "together longer",
        ),
        (
            "unable to parse 'm,a=x value=nan 1': invalid number",
            "unparsable_line",
            "cannot read (the store says: invalid",
        ),
        ("cannot read influx line protocol data: too long line: more than 262144 bytes", "line_too_long", "is longer"),
        ("Update to schema would exceed number of tables limit of 2000 tables", "too_many_tables", "a new table `m`"),
        ("a new kind of trouble", "refused_by_store", "`sensor.x`: the store refuses it: a new kind of trouble"),
        ("unable to parse 'm s=\"max key length, retention policy\"': odd", "unparsable_line", "cannot read"),
    ],
)
def test_what_stores_say_of_a_line_is_named_and_explained(message: str, reason: str, words: str) -> None:
    assert reason_of(message) == reason
    assert words in explain(point(), message)


def test_a_conflict_points_at_the_lines_that_wrote_that_type_to_that_field() -> None:
    meant = may_be_meant(CONFLICT_1)

    assert meant is not None
    assert meant(point(value="warm"), "")
    assert not meant(point(value=2.0), "")
    assert not meant(Point("other", (), {"value": "warm"}, 1), "")


def test_a_line_that_is_quoted_also_in_part_is_recognised() -> None:
    whole = may_be_meant("unable to parse 'm value=nan 1': invalid number")
    cut = may_be_meant("unable to parse 'm val … ue=nan 1': invalid number")

    assert whole is not None
    assert cut is not None
    assert whole(point(), "m value=nan 1")
    assert cut(point(), "m value=nan 1")
    assert not whole(point(), "m value=2 1")
    assert may_be_meant("something") is None
