"""The gate asks the rules: what is healthy stays as it is, what is not is noted, repaired, put aside or left out."""

from __future__ import annotations

import copy
import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.enrichment.steps import Surroundings
from ingestor.enrichment.watching import Watching
from ingestor.events.event import Event, Place
from ingestor.events.frame import Frame, RawBatch
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.facts import AreaFacts, HomeFacts
from ingestor.home.watched import MemoryWatched
from ingestor.pipeline.validate import Validated, validate
from ingestor.quality.bounds import BOUNDS
from ingestor.quality.gate import Gate
from ingestor.quality.rules import EVENT_RULES, RULES, rule_of
from ingestor.quality.user_rules import left_out
from ingestor.settings import StorageSettings
from ingestor.settings_quality import CHOICES, QualityRule, QualitySettings
from ingestor.storage.schema import PointBuilder

RECEIVED_NS = 1_795_229_244_500_000_000
TIME = "2026-11-21T02:47:24.000002+00:00"


def change(state: str, *, old: str = "20.0", entity_id: str = "sensor.kitchen", **attributes: Any) -> dict[str, Any]:
    times = {"last_changed": TIME, "last_updated": TIME}
    given_attributes = {"unit_of_measurement": "°C", "device_class": "temperature", **attributes}
    new = {"entity_id": entity_id, "state": state, "attributes": given_attributes, **times}
    return {
        "event_type": "state_changed",
        "data": {"entity_id": entity_id, "old_state": {**new, "state": old}, "new_state": new},
        "origin": "LOCAL",
        "time_fired": TIME,
        "context": {"id": "c1", "parent_id": None, "user_id": None},
    }


def at(event: dict[str, Any], time: str) -> dict[str, Any]:
    changed = copy.deepcopy(event)
    changed["time_fired"] = time
    changed["data"]["new_state"].update(last_changed=time, last_updated=time)
    return changed


def run(*events: dict[str, Any], gate: Gate | None = None, carries: tuple[str, ...] = (), **settings: Any) -> Validated:
    payload = orjson.dumps([{"id": 1, "type": "result"}, *({"type": "event", "event": one, "id": 3} for one in events)])
    return through(payload, gate=gate, carries=carries, **settings)


def through(payload: bytes, *, gate: Gate | None = None, carries: tuple[str, ...] = (), **settings: Any) -> Validated:
    raw = RawBatch("b", "home", "websocket", "j", RECEIVED_NS, [Frame("websocket", RECEIVED_NS, payload)])
    return validate(raw, frozenset(carries), gate=gate or Gate(QualitySettings(**settings)))


def only(found: Validated) -> Event:
    (event,) = found.batch.events
    return event


def rule(**parts: Any) -> QualityRule:
    return QualityRule(**{"name": "mine", **parts})


def test_the_list_is_whole_and_every_reason_of_the_decoders_has_its_rule() -> None:
    names = [one.name for one in RULES]

    assert len(set(names)) == len(names)
    assert set(CHOICES) <= {one.name for one in EVENT_RULES}
    assert all(one.reason for one in RULES)
    assert all(one.test or one.answers or one.stage == "write" for one in RULES)
    assert all(one.severity in CHOICES.get(one.name, (one.severity,)) for one in RULES)
    for answer in ("invalid_json", "invalid_event", "invalid_time", "not_utf8", "nested_too_deep", "decoder_failed"):
        assert rule_of(answer) is not None


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["temperature", "humidity", "energy", "none"]))
def test_no_number_is_ever_changed_by_the_rules_that_run_by_default(value: float, device_class: str) -> None:
    event = change(repr(value), device_class=device_class)
    bare = validate(
        RawBatch("b", "home", "websocket", "j", 0, [Frame("websocket", RECEIVED_NS, orjson.dumps([wrap(event)]))]),
        frozenset(),
    )

    found = run(event)

    assert only(found) == only(bare)
    assert found.quarantined == []


def wrap(event: dict[str, Any]) -> dict[str, Any]:
    return {"type": "event", "event": event, "id": 3}


@pytest.mark.parametrize(
    ("state", "value", "by"),
    [
        ("21,5", 21.5, "decimal_comma"),
        ("21.5 °C", 21.5, "unit_in_state"),
        ("1.234,5 °C", 1234.5, "unit_in_state,thousands_separator,decimal_comma"),
    ],
)
def test_a_number_in_another_form_is_repaired_and_its_identity_stays(state: str, value: float, by: str) -> None:
    bare = only(through(orjson.dumps([wrap(change(state))]), severity=[f"{name}=off" for name in CHOICES]))

    event = only(run(change(state)))

    assert (event.value, event.state) == (value, state)
    assert event.extras == {"repaired_by": by, "raw_state": state}
    assert (event.time_us, event.identity, event.subject) == (bare.time_us, bare.identity, bare.subject)


def test_the_old_sign_for_micro_is_written_as_the_new_one_with_the_raw_unit_beside_it() -> None:
    event = only(run(change("12", unit_of_measurement="\u00b5g/m³", device_class="pm25")))

    assert (event.value, event.unit) == (12.0, "\u03bcg/m³")
    assert event.extras == {"repaired_by": "unit_spelling", "raw_unit": "\u00b5g/m³"}


def test_temperatures_and_energies_come_in_the_unit_that_the_settings_ask_for() -> None:
    warm, used = (
        change("212", unit_of_measurement="°F"),
        change("1.5", unit_of_measurement="kWh", device_class="energy"),
    )

    found = run(warm, used, temperature="°C", energy="Wh").batch.events

    assert [(one.value, one.unit, one.state) for one in found] == [(100.0, "°C", "212"), (1500.0, "Wh", "1.5")]
    assert found[0].extras == {"repaired_by": "temperature_unit", "raw_state": "212", "raw_unit": "°F"}


def test_text_from_a_sensor_of_numbers_is_noted_and_text_of_others_is_not() -> None:
    odd, plain = change("warm"), change("warm", entity_id="select.mode", unit_of_measurement=None, device_class=None)

    found = run(odd, plain, change("unavailable"), change("nan"))

    assert dict(found.findings) == {("not_a_number", "note"): 1, ("non_finite", "note"): 1}
    assert [one.value for one in found.batch.events] == [None] * 4


@pytest.mark.parametrize(("choice", "value", "events"), [("note", -300.0, 1), ("repair", None, 1), ("reject", None, 0)])
def test_beyond_its_bounds_a_number_is_noted_or_taken_off_or_put_aside(
    choice: str, value: float | None, events: int
) -> None:
    found = run(change("-300"), severity=[f"bounds={choice}"])

    assert dict(found.findings) == {("bounds", choice): 1}
    assert [one.value for one in found.batch.events] == [value] * events
    assert [piece.reason for piece in found.quarantined] == ["bounds"] * (1 - events)


def test_every_bound_of_the_table_is_asked() -> None:
    for device_class, by_unit in BOUNDS.items():
        for unit, bounds in by_unit.items():
            below = change(repr(bounds.low - 1), device_class=device_class, unit_of_measurement=unit or "x")

            assert run(below).findings["bounds", "note"] == 1, (device_class, unit)


def test_a_clock_in_1970_is_put_aside_with_its_own_bytes_and_comes_again_when_replayed() -> None:
    healthy, lost = change("21"), at(change("22", entity_id="sensor.lost"), "1970-01-01T00:00:07.000000+00:00")

    found = run(healthy, lost, change("23"))

    (piece,) = found.quarantined
    assert [one.state for one in found.batch.events] == ["21", "23"]
    assert (piece.reason, piece.slot) == ("time_before_2000", 1)
    assert orjson.loads(piece.raw)["event"]["data"]["entity_id"] == "sensor.lost"
    assert [one.outcome for one in found.batch.settled] == ["rejected"]
    again = through(piece.raw, severity=["time_before_2000=note"])
    assert [one.subject for one in again.batch.events] == ["sensor.lost"]


def test_the_future_and_a_time_without_a_zone_and_disorder_are_noted_and_stored_at_their_time() -> None:
    ahead = at(change("21"), "2026-11-21T03:47:24.000000+00:00")
    bare = at(change("21", entity_id="sensor.other"), "2026-11-21T02:47:24")
    first, second = (
        at(change("1"), "2026-11-21T02:47:23.000000+00:00"),
        at(change("2"), "2026-11-21T02:47:22.000000+00:00"),
    )

    found = run(first, second, bare, ahead)

    assert dict(found.findings) == {
        ("time_in_future", "note"): 1,
        ("time_without_zone", "note"): 1,
        ("out_of_order", "note"): 1,
    }
    assert len(found.batch.events) == 4
    assert found.batch.events[2].time_us == 1_795_229_244_000_000


def test_an_event_an_hour_ahead_does_not_make_all_that_follow_disorderly() -> None:
    gate = Gate(QualitySettings())
    run(at(change("21"), "2027-11-21T03:47:24.000000+00:00"), gate=gate)

    found = run(at(change("22"), "2026-11-21T02:51:24.000000+00:00"), gate=gate)

    assert not found.findings


def test_half_of_a_pair_of_characters_is_repaired_with_the_raw_text_beside_it() -> None:
    payload = orjson.dumps([wrap(change("21", unit_of_measurement=None, device_class=None))])
    found = through(payload.replace(b'"state":"21"', b'"state":"a\\ud83d"'))

    event = only(found)
    assert event.state == "a?"
    assert event.extras == {"repaired_by": "half_characters", "raw_state": "a\\ud83d"}


def test_of_a_frame_cut_off_the_whole_events_are_kept_and_the_rest_counts_under_its_rule() -> None:
    payload = orjson.dumps([wrap(change("21")), wrap(change("22"))])

    found = through(payload[:-40])

    assert [one.state for one in found.batch.events] == ["21"]
    assert dict(found.findings) == {("corrupt_json", "reject"): 1}


def test_a_state_longer_than_home_assistant_allows_is_noted() -> None:
    found = run(change("x" * 300, unit_of_measurement=None, device_class=None))

    assert dict(found.findings) == {("overlong_state", "note"): 1}
    assert only(found).state == "x" * 300


def test_a_rule_that_is_off_says_nothing() -> None:
    assert not run(change("-300"), change("warm"), severity=["bounds=off", "not_a_number=off"]).findings


def test_rules_of_ones_own_are_asked_in_their_order_after_ours() -> None:
    rules = (
        rule(name="hot", kind="bounds", entities=["sensor.*"], max=50, severity="repair", reason="no oven here"),
        rule(name="odd", kind="pattern", domains=["select"], pattern="on|off", severity="reject"),
        rule(name="no-cpu", kind="deny", entities=["sensor.cpu_*"]),
    )
    select: dict[str, Any] = {"unit_of_measurement": None, "device_class": None}

    found = run(
        change("51"),
        change("49"),
        change("auto", entity_id="select.mode", **select),
        change("on", entity_id="select.mode", **select),
        change("1", entity_id="sensor.cpu_load"),
        rules=rules,
    )

    assert [(one.state, one.value) for one in found.batch.events] == [("51", None), ("49", 49.0), ("on", 1.0)]
    assert found.batch.events[0].extras == {"repaired_by": "hot", "raw_state": "51"}
    assert [piece.reason for piece in found.quarantined] == ["odd"]
    assert {one.outcome: one.slots for one in found.batch.settled} == {"rejected": [2], "filtered": [4]}


def test_only_what_is_allowed_passes_and_other_events_are_not_asked() -> None:
    rules = (rule(kind="allow", entities=["sensor.kitchen"]),)
    called = {**change("1"), "event_type": "call_service", "data": {"domain": "light", "service": "turn_on"}}

    found = run(change("21"), change("22", entity_id="sensor.cellar"), called, rules=rules)

    assert [one.subject for one in found.batch.events] == ["sensor.kitchen", "call_service:light.turn_on"]


def test_a_dead_band_is_decided_from_what_the_event_carries_alone() -> None:
    gate = Gate(QualitySettings(rules=(rule(kind="dead-band", entities=["sensor.*"], change=0.5),)))
    small, large = change("20.3", old="20.0"), change("20.5", old="20.0")
    unknown = change("20.1", old="unknown")

    first = [one.state for one in run(small, large, unknown, gate=gate).batch.events]
    again = [one.state for one in run(small, large, unknown, gate=gate).batch.events]

    assert first == again == ["20.5", "20.1"]


def test_attributes_are_left_out_or_looked_at_as_the_rules_say() -> None:
    rules = (
        rule(name="icons", kind="attributes", drop=["icon", "entity_*"]),
        rule(name="weak", kind="bounds", attribute="rssi", min=-100, severity="repair"),
    )

    event = only(
        run(change("21", icon="x", entity_picture="y", rssi=-120, keep=1), rules=rules, carries=("attributes",))
    )

    assert event.attributes is not None
    assert set(event.attributes) == {"unit_of_measurement", "device_class", "keep"}
    assert event.extras == {"repaired_by": "weak"}
    assert event.value == 21.0


def test_reconciliation_is_told_whose_events_may_be_left_out() -> None:
    rules = (
        rule(name="cpu", kind="deny", entities=["sensor.cpu_*"]),
        rule(name="band", kind="dead-band", device_classes=["power"], change=5),
        rule(name="hot", kind="bounds", max=50, severity="reject"),
    )

    is_left_out = left_out(rules)

    assert is_left_out("sensor.cpu_load", None)
    assert is_left_out("sensor.boiler", "power")
    assert not is_left_out("sensor.kitchen", "temperature")


def test_what_was_repaired_stands_on_the_point_whatever_context_is_chosen() -> None:
    event = only(run(change("21,5")))
    event.extras = {**(event.extras or {}), "value_clean": 20.0, "counter_event": "dip", "sun_phase": "day"}

    (point,) = PointBuilder(StorageSettings()).points(event, Place("sensor.kitchen", "sensor"), "home", 1)

    assert (point.fields["state"], point.fields["value"]) == ("21,5", 21.5)
    assert point.fields["raw_state"] == "21,5"
    assert point.fields["repaired_by"] == "decimal_comma"
    assert (point.fields["value_clean"], point.fields["counter_event"]) == (20.0, "dip")
    assert "sun_phase" not in point.fields


def test_a_frame_of_which_every_event_is_refused_is_taken_apart_once() -> None:
    rules = (rule(kind="bounds", max=0, severity="reject"),)
    began_s = time.process_time()

    found = run(*(change(str(number + 1)) for number in range(3000)), rules=rules)

    assert len(found.quarantined) == 3000
    assert orjson.loads(found.quarantined[2999].raw)["event"]["data"]["new_state"]["state"] == "3000"
    assert time.process_time() - began_s < 10


def test_enrichment_sees_a_number_as_it_was_put_right() -> None:
    facts = HomeFacts("home", areas={"a": AreaFacts("a", "A", "", "sensor.kitchen")})
    around = Surroundings("home", MemoryHomeMap(), facts=facts)
    watching = Watching(MemoryWatched())

    watching.begin(run(change("70,5", unit_of_measurement="°F"), temperature="°C").batch.events, around)

    series = watching.series("home", "sensor.kitchen")
    assert series is not None
    assert series.value_at(1_795_229_244_000_002) == pytest.approx(21.3889)


def test_only_the_attributes_that_a_rule_keeps_stay_with_those_that_say_what_the_number_is() -> None:
    rules = (rule(kind="attributes", keep=["rssi*"], drop=["rssi_raw"]),)

    event = only(run(change("21", icon="x", rssi=-60, rssi_raw=1), rules=rules, carries=("attributes",)))

    assert event.attributes is not None
    assert set(event.attributes) == {"unit_of_measurement", "device_class", "rssi"}
