"""What a store's refusal of a point means, in words for the person who looks into the quarantine; asks nobody.

The texts are those of InfluxDB 1.6 (seen), 2.x and 3.x (documented) and VictoriaMetrics (seen). What none of them
fits is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ingestor.events.point import Point

CONFLICT: Final = "field_type_conflict"
EXPIRED: Final = "beyond_retention"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Words in an answer → a short stable name to group by.
_REASONS: Final = (
    ("field type conflict", CONFLICT),
    ("schema conflict", CONFLICT),
    ("invalid column type", CONFLICT),
    ("field type mismatch", CONFLICT),
    ("column type mismatch", CONFLICT),
    ("series key mismatch", "other_tags_than_before"),
    ("would exceed number of tables", "too_many_tables"),
    ("would exceed number of columns", "too_many_columns"),
    ("would exceed number of tag columns", "too_many_columns"),
    ("retention policy", EXPIRED),
    ("max-series-per-database", "too_many_series"),
    ("max-values-per-tag", "too_many_tag_values"),
    ("max key length", "tags_too_long"),
    ("too long line", "line_too_long"),
    ("too large", "line_too_long"),
    ("time outside range", "time_out_of_range"),
    ("value out of range", "time_out_of_range"),
    ("unable to parse", "unparsable_line"),
    ("invalid", "unparsable_line"),
)
#: 1.x and 2.x: input field "value" on measurement "m" is type string, already exists as type float.
_CONFLICT_12: Final = re.compile(
    r'input field "(.+?)" on measurement "(.+?)" is type (\w+), already exists as type (\w+)'
)
#: 3.x: invalid column type for column 'value', expected iox::column_type::field::float, got ….
_CONFLICT_3: Final = re.compile(
    r"for column '(.+?)', expected iox::column_type::([\w:]+), got iox::column_type::([\w:]+)"
)
_TAG_VALUES: Final = re.compile(r'\((\d+)/\d+\): measurement="(.*?)" tag="(.*?)" value="(.*?)"')
_TYPES: Final = {
    "string": "text",
    "float": "a number",
    "integer": "a whole number",
    "unsigned": "a whole number above zero",
    "uinteger": "a whole number above zero",
    "boolean": "true or false",
    "tag": "a tag",
}


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that has another type in the store; the types are words for a person."""

    field: str
    wrote: str
    holds: str


def reason_of(message: str) -> str:
    """Return the short name for what a store says of a line."""
    # A line is quoted first where it is quoted, and may have any words in it.
    text = _after_quote(message).lower() or message.lower()
    found = next((reason for words, reason in _REASONS if words in text), "")
    return found or ("unparsable_line" if "unable to parse" in message.lower() else "refused_by_store")


def conflict_of(message: str) -> Conflict | None:
    """Return which field has which type, as far as the store says so."""
    if found := _CONFLICT_12.search(message):
        return Conflict(found[1], _type(found[3]), _type(found[4]))
    if found := _CONFLICT_3.search(message):
        return Conflict(found[1], _type(found[3]), _type(found[2]))
    return None


def may_be_meant(message: str) -> Callable[[Point, str], bool] | None:
    """Return which points (and lines) an answer can be about; None where it does not say.

    Only a hint of where to look first: the answer names one fault of several, and other lines may share its signs.
    """
    if found := _CONFLICT_12.search(message):
        measurement, name, kind = found[2], found[1], found[3]
        return lambda point, _line: point.measurement == measurement and _kind(point.all_fields().get(name)) == kind
    if found := _TAG_VALUES.search(message):
        tag = (found[3], found[4])
        return lambda point, _line: tag in point.tags
    if (begin := _quoted_begin(message)) != "":
        return lambda _point, line: line.startswith(begin)
    return None


def explain(point: Point, message: str, since: datetime | None = None) -> str:
    """Return why a store refused a point: a sentence, then the store's own words.

    `since`: when its field was first written.
    """
    tags = dict(point.tags)
    series = f"`{tags.get('series') or tags.get('entity_id') or point.measurement}`"
    sentence = _sentence(point, message, since)
    if sentence is None:
        return f"{series}: the store refuses it: {message}"
    return f"{series} {sentence} (the store says: {_after_quote(message) or message})"


def _sentence(point: Point, message: str, since: datetime | None) -> str | None:
    reason = reason_of(message)
    if reason == CONFLICT:
        return _conflict_sentence(point, message, since)
    if reason == "too_many_tag_values" and (found := _TAG_VALUES.search(message)):
        return (
            f"brings a new value of the tag `{found[3]}`, which has {found[1]} already, as many as the database allows"
            " (max-values-per-tag)"
        )
    told = _SENTENCES.get(reason)
    return told.format(time=_moment(point.time_ns), measurement=point.measurement) if told else None


#: What to say after the series' name.
_SENTENCES: Final = {
    EXPIRED: "has the time {time}, which is older than what the database keeps (its retention policy)",
    "too_many_series": "is new, and the database has as many series as it allows (max-series-per-database)",
    "too_many_tables": "needs a new table `{measurement}`, and the database has as many as it allows",
    "too_many_columns": "brings a field more than the table `{measurement}` may have columns",
    "other_tags_than_before": "has other tags than the table `{measurement}` was made with (storage.extra_tags)",
    "tags_too_long": "has tags that are together longer than a store takes",
    "line_too_long": "is longer than the store takes in one line",
    "time_out_of_range": "has the time {time}, which the store cannot hold",
    "unparsable_line": "gave a line that the store cannot read",
}


def _conflict_sentence(point: Point, message: str, since: datetime | None) -> str:
    conflict = conflict_of(message)
    if conflict is None:
        return f"wrote a field of `{point.measurement}` in another type than it has there"
    when = f"since {since:%Y-%m-%d %H:%M:%S} UTC" if since else "already"
    return f"wrote {conflict.wrote} to `{conflict.field}`, which is {conflict.holds} in `{point.measurement}` {when}"


def _moment(time_ns: int) -> str:
    try:
        return f"{_EPOCH + timedelta(microseconds=time_ns // 1000):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return f"{time_ns} ns"


def _type(name: str) -> str:
    return _TYPES.get(name.rpartition("::")[2], name)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return {str: "string", float: "float", int: "integer"}.get(type(value), "")


def _quoted_begin(message: str) -> str:
    """Return the begin of the line that is quoted in an answer; a long one is cut."""
    _, found, rest = message.partition("unable to parse '")
    return rest.rpartition("': ")[0].partition(" … ")[0] if found else ""


def _after_quote(message: str) -> str:
    """Return what follows the line that an answer quotes, "" where it quotes none."""
    _, found, rest = message.partition("unable to parse '")
    return rest.rpartition("': ")[2] if found else ""
