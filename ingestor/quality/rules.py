"""The rules at the door as one visible, ordered list; each looks and says, none changes anything (`gate.py` does).

Some are asked where the thing itself is read (a frame, the store's answer): they stand here with the reasons under
which that code tells of them, so that all that can happen to an event is in one place.
"""

from __future__ import annotations

from typing import Final

from ingestor.events.event import Event
from ingestor.events.values import number_of
from ingestor.events.websocket import HALF_CHARACTERS, UNEXPECTED_SHAPE, WITHOUT_ZONE
from ingestor.quality.bounds import bounds_of
from ingestor.quality.numbers import DECIMAL_COMMA, THOUSANDS, UNIT_INSIDE, is_non_finite, read_number
from ingestor.quality.rule import About, Finding, Repair, Rule, Test
from ingestor.quality.units import Converted, normal_unit, wanted_energy, wanted_temperature

#: Nobody had a smart home before; clocks that were never set begin in 1970.
YEAR_2000_US: Final = 946_684_800_000_000
#: Home Assistant's own longest state; longer ones are forged or come by MQTT.
MAX_STATE_OF_HOME_ASSISTANT: Final = 255
#: States that say that there is no value.
ABSENT: Final = frozenset({"unknown", "unavailable", "", "none", "None"})


def _noted(name: str) -> Test:
    def test(event: Event, _about: About) -> Finding | None:
        found = next((note for note in event.notes if note.startswith(name)), None)
        return None if found is None else Finding(found.partition(": ")[2])

    return test


def _half_characters(event: Event, _about: About) -> Finding | None:
    found = next((note for note in event.notes if note.startswith(HALF_CHARACTERS)), None)
    if found is None:
        return None
    raw = found.partition(": ")[2]
    return Finding(raw, Repair(event.value, event.unit, raw=raw))


def _before_2000(event: Event, _about: About) -> Finding | None:
    if event.time_us >= YEAR_2000_US:
        return None
    return Finding(f"{event.time_us / 1e6:.0f} s after 1970")


def _in_future(event: Event, about: About) -> Finding | None:
    ahead_s = (event.time_us - about.limits.latest_us) / 1e6
    return Finding(f"{ahead_s:.0f} s further ahead than quality.future_s allows") if ahead_s > 0 else None


def _out_of_order(event: Event, about: About) -> Finding | None:
    if event.time_us >= about.last_us or about.last_us <= YEAR_2000_US:
        return None
    return Finding(f"{(about.last_us - event.time_us) / 1e6:.3f} s older than one of its entity before it")


def _unit_spelling(event: Event, _about: About) -> Finding | None:
    if event.unit is None or (normal := normal_unit(event.unit)) == event.unit:
        return None
    return Finding(f"{event.unit!r} is written {normal!r}", Repair(event.value, normal))


def _number_format(name: str) -> Test:
    def test(event: Event, about: About) -> Finding | None:
        if not about.numeric or event.state is None or event.state in ABSENT or number_of(event.state) is not None:
            return None
        reading = read_number(event.state, event.unit, about.limits.decimal)
        if reading is None or name not in reading.used:
            return None
        return Finding(f"{event.state!r} is {reading.value:g}", Repair(reading.value, event.unit))

    return test


def _non_finite(event: Event, about: About) -> Finding | None:
    if not about.numeric or event.value is not None or event.state is None or not is_non_finite(event.state):
        return None
    return Finding(f"{event.state!r}")


def _not_a_number(event: Event, about: About) -> Finding | None:
    if not about.numeric or event.value is not None or event.state is None or event.state in ABSENT:
        return None
    return None if is_non_finite(event.state) else Finding(f"{event.state!r:.80}")


def _overlong(event: Event, _about: About) -> Finding | None:
    if event.state is None or len(event.state) <= MAX_STATE_OF_HOME_ASSISTANT:
        return None
    return Finding(f"{len(event.state)} characters")


def _bounds(event: Event, _about: About) -> Finding | None:
    limits = bounds_of(event.device_class, event.unit)
    if event.value is None or limits is None or limits.low <= event.value <= limits.high:
        return None
    detail = f"{event.value:g} {event.unit or ''} is not from {limits.low:g} to {limits.high:g}: {limits.why}"
    return Finding(detail, Repair(None, event.unit))


def _temperature(event: Event, about: About) -> Finding | None:
    is_one = event.device_class == "temperature"
    return _conversion(event, wanted_temperature(event.unit, about.limits.temperature) if is_one else None)


def _energy(event: Event, about: About) -> Finding | None:
    is_one = event.device_class in ("energy", "energy_storage")
    return _conversion(event, wanted_energy(event.unit, about.limits.energy) if is_one else None)


def _conversion(event: Event, wanted: Converted | None) -> Finding | None:
    if wanted is None:
        return None
    value = None if event.value is None else wanted.value(event.value)
    return Finding(f"{event.unit} into {wanted.unit}", Repair(value, wanted.unit))


#: In the order in which they are asked: what is read first, first.
RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "corrupt_json",
        "reject",
        "bytes that are no JSON (a frame cut off in the middle): the whole events of the frame are kept, the rest is"
        " put aside",
        "frame",
        answers=("invalid_json", "not_base64"),
    ),
    Rule("not_utf8", "reject", "text that is no UTF-8: nobody can say what it means", "frame", answers=("not_utf8",)),
    Rule(
        "unknown_message",
        "reject",
        "neither an event nor an answer of Home Assistant",
        "frame",
        answers=("unknown_message",),
    ),
    Rule(
        "schema",
        "reject",
        "a required field is missing or of another type, or a payload has not the value that its mapping names",
        "frame",
        answers=("invalid_event", "unreadable_event", "no_value", "template_failed"),
    ),
    Rule(
        "too_much",
        "reject",
        "more, longer or deeper than any home sends: it would cost its neighbours",
        "frame",
        answers=(
            *("too_many_messages", "too_many_values", "payload_too_large", "state_too_long", "nested_too_deep"),
            "not_portable",
        ),
    ),
    Rule(
        "harmful",
        "reject",
        "a worker failed over it, or died of it",
        "frame",
        answers=("harms_its_worker", "decoder_failed"),
    ),
    Rule(
        "unreadable_time",
        "reject",
        "no ISO 8601 time, or one that no store can hold",
        "frame",
        answers=("invalid_time", "time_out_of_range"),
    ),
    Rule(
        UNEXPECTED_SHAPE,
        "note",
        "an event of a known name with other data: kept like one of an unknown kind",
        test=_noted(UNEXPECTED_SHAPE),
    ),
    Rule(
        HALF_CHARACTERS,
        "repair",
        "half of a surrogate pair is in the text, which UTF-8 cannot hold: a question mark stands for it",
        test=_half_characters,
    ),
    Rule(
        WITHOUT_ZONE,
        "note",
        "a time without a zone is UTC, as Home Assistant means it; who wrote it may have meant another",
        test=_noted(WITHOUT_ZONE),
    ),
    Rule(
        "time_before_2000",
        "reject",
        "the clock was not set (a machine without a battery begins in 1970): its place in time is not known",
        test=_before_2000,
    ),
    Rule(
        "time_in_future",
        "note",
        "later than its receipt by more than quality.future_s: one of the two clocks is wrong",
        test=_in_future,
    ),
    Rule(
        "out_of_order",
        "note",
        "older than an event of the same entity that came before it; it is stored at its own time",
        test=_out_of_order,
    ),
    Rule(
        "unit_spelling",
        "repair",
        "one unit in two spellings would be two series to a dashboard (Home Assistant moved from U+00B5 to U+03BC)",
        test=_unit_spelling,
    ),
    Rule(
        UNIT_INSIDE,
        "repair",
        "the unit stands in the state, behind the number",
        test=_number_format(UNIT_INSIDE),
    ),
    Rule(THOUSANDS, "repair", "thousands are set apart", test=_number_format(THOUSANDS)),
    Rule(
        DECIMAL_COMMA,
        "repair",
        "a comma stands where the point should; where it may as well be a thousand (1,234), quality.decimal decides",
        test=_number_format(DECIMAL_COMMA),
    ),
    Rule(
        "non_finite",
        "note",
        "no number, an infinite one, or one too great for a float: there is no value, the state says what came",
        test=_non_finite,
    ),
    Rule(
        "not_a_number",
        "note",
        "text from an entity that measures numbers: there is no value, the state says what came",
        test=_not_a_number,
    ),
    Rule(
        "overlong_state",
        "note",
        "longer than the 255 characters that Home Assistant allows a state",
        test=_overlong,
    ),
    Rule(
        "bounds",
        "note",
        "beyond what can be, by device class; as a repair the point has no value, the state says what came",
        test=_bounds,
    ),
    Rule("temperature_unit", "repair", "another unit than quality.temperature asks for", test=_temperature),
    Rule("energy_unit", "repair", "another unit than quality.energy asks for", test=_energy),
    Rule(
        "meter_reset",
        "note",
        "a meter began anew (`counter_event` says so), or went on lower for an hour",
        "enrich",
        answers=("reset",),
    ),
    Rule(
        "meter_zero",
        "repair",
        "a meter fell to 0, mostly for a moment: `value_clean` has the last good value until it is known",
        "enrich",
        answers=("zero",),
    ),
    Rule(
        "meter_dip",
        "repair",
        "a meter fell by a tenth at most, which no meter does: `value_clean` has the last good value",
        "enrich",
        answers=("dip",),
    ),
    Rule(
        "meter_spike",
        "repair",
        "a meter rose by more than a house can use (1 MW, 100 m³/h): `value_clean` has the last good value",
        "enrich",
        answers=("spike",),
    ),
    Rule(
        "duplicate",
        "note",
        "stored before, from this source or another: it is not written again, and counted as a duplicate",
        "write",
    ),
    Rule(
        "refused_by_store",
        "reject",
        "the store takes no such point: a field of another type, a text too long, a time beyond its retention",
        "write",
        answers=(
            *("field_type_conflict", "beyond_retention", "field_too_long", "refused_by_store", "unparsable_line"),
            *("line_too_long", "tags_too_long", "too_many_series", "too_many_tag_values", "too_many_columns"),
            *("too_many_tables", "other_tags_than_before"),
        ),
    ),
)
BY_NAME: Final = {rule.name: rule for rule in RULES}
#: Those of the gate: they can be tried on what is stored, too.
EVENT_RULES: Final = tuple(rule for rule in RULES if rule.stage == "event")
_BY_ANSWER: Final = {answer: rule for rule in RULES for answer in rule.answers}


def rule_of(answer: str) -> Rule | None:
    """Return the rule under which other code refused something, by its reason."""
    return _BY_ANSWER.get(answer)
