"""The step `cause`: who made an event happen, what is waited for, and what it never does."""

from __future__ import annotations

from typing import Any

import pytest

from ingestor.enrichment import cause as cause_module
from ingestor.enrichment.cause import CauseStep
from ingestor.enrichment.cause_shared import MemoryContexts
from ingestor.enrichment.cause_triggers import origin_of_entity, origin_of_trigger
from ingestor.enrichment.place import PlaceStep
from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.model import Snapshot
from ingestor.pipeline.enrich import enrich
from tests.unit.cause_stage import batches_of

ANNA = "a" * 32
LIGHT, MOTION, SWITCH = "light.hall", "binary_sensor.motion", "input_boolean.night"
HALL, NIGHT = "automation.hall", "automation.night"


def ctx(number: int) -> str:
    return f"01M7Y04H8P{number:016}"


def changed(entity_id: str, context: int | None, *, parent: int = 0, user: str = "", **fields: Any) -> Event:
    values = {"state": "on", "previous_state": "off", **fields}
    return about("state_changed", entity_id, context, parent=parent, user=user, **values)


def about(
    event_type: str, entity_id: str | None, context: int | None, *, parent: int = 0, user: str = "", **fields: Any
) -> Event:
    kind: Any = "state" if event_type == "state_changed" else "event"
    subject = (entity_id or "") if kind == "state" else f"{event_type}:{entity_id or '-'}"
    return Event(
        0,
        kind,
        event_type,
        subject,
        entity_id,
        1,
        1,
        "websocket",
        1,
        context_id=None if context is None else ctx(context),
        parent_id=ctx(parent) if parent else None,
        user_id=user or None,
        **fields,
    )


def triggered(automation: str, context: int, source: str | None = None, *, parent: int = 0) -> Event:
    data = {"entity_id": automation} if source is None else {"entity_id": automation, "source": source}
    return about("automation_triggered", automation, context, parent=parent, data=data)


def told(event: Event) -> str:
    """Return an event's cause as text: kind id <- root kind id (depth)."""
    found = event.extras or {}
    cause = " ".join(str(found[name]) for name in ("cause_kind", "cause_id") if name in found)
    root = " ".join(str(found[name]) for name in ("root_cause_kind", "root_cause_id") if name in found)
    return f"{cause} <- {root} ({found['cause_depth']})" if root else cause


def run(step: CauseStep, *events: Event, waited_s: float = 0, home: str = "home") -> list[bool]:
    around = Surroundings(home, MemoryHomeMap(), waited_s=waited_s)
    step.begin(events, around)
    return [step.apply(event, around) for event in events]


def causes(*events: Event, waited_s: float = 0) -> list[str]:
    assert all(run(CauseStep(), *events, waited_s=waited_s))
    return [told(event) for event in events]


def test_what_a_device_reports_by_itself_is_caused_by_a_device() -> None:
    assert causes(changed(MOTION, 1)) == ["device"]


def test_where_no_point_wants_it_a_plain_change_says_nothing_and_a_caused_one_as_ever() -> None:
    step = CauseStep(says_plain=False)
    plain, by_anna, restart = changed(MOTION, 1), changed(LIGHT, 2, user=ANNA), about("tag_scanned", None, 3)

    run(step, plain, by_anna, restart)

    assert plain.extras is None
    assert told(by_anna).startswith(f"user {ANNA}")
    assert restart.extras is not None


def test_what_a_user_does_is_caused_by_the_user() -> None:
    call = about("call_service", None, 1, user=ANNA)

    assert causes(call, changed(LIGHT, 1, user=ANNA)) == [f"user {ANNA} <- user {ANNA} (1)"] * 2


def test_an_automation_is_caused_by_its_trigger_and_causes_what_happens_in_its_context() -> None:
    events = [
        changed(MOTION, 1),
        triggered(HALL, 2, f"state of {MOTION}", parent=1),
        changed(HALL, 2, parent=1, previous_state="on"),
        about("call_service", None, 2, parent=1),
        changed(LIGHT, 2, parent=1),
    ]

    by_motion = f"device {MOTION} <- device {MOTION} (1)"
    by_automation = f"automation {HALL} <- device {MOTION} (2)"
    assert causes(*events) == ["device", by_motion, by_motion, by_automation, by_automation]


def test_a_chain_of_automations_leads_to_its_root_in_any_order() -> None:
    events = [
        changed(SWITCH, 3, parent=2),
        triggered(NIGHT, 4, f"state of {SWITCH}", parent=3),
        changed(LIGHT, 4, parent=3),
        triggered(HALL, 3, f"state of {MOTION}", parent=2),
        changed(MOTION, 2, user=ANNA),
    ]

    first, second, third, fourth, _ = causes(*events)

    assert first == f"automation {HALL} <- user {ANNA} (2)"
    assert second == f"automation {HALL} <- user {ANNA} (2)"
    assert third == f"automation {NIGHT} <- user {ANNA} (3)"
    assert fourth == f"user {ANNA} <- user {ANNA} (1)"


def test_a_script_that_a_user_starts_causes_what_it_does() -> None:
    script = "script.good_night"
    events = [
        about("call_service", None, 1, user=ANNA),
        about("script_started", script, 1, user=ANNA),
        changed(script, 1, user=ANNA),
        changed(LIGHT, 1, user=ANNA),
    ]
    events[0].subject = "call_service:script.good_night"

    by_user, by_script = f"user {ANNA} <- user {ANNA} (1)", f"script {script} <- user {ANNA} (2)"
    assert causes(*events) == [by_user, by_user, by_user, by_script]


def test_what_a_script_does_within_an_automation_is_caused_by_the_automation() -> None:
    events = [about("script_started", "script.s", 2), triggered(HALL, 2, "time pattern"), changed(LIGHT, 2)]

    by_automation = f"automation {HALL} <- time time pattern (2)"
    assert causes(*events) == [by_automation, "time time pattern <- time time pattern (1)", by_automation]


@pytest.mark.parametrize(
    ("source", "kind", "id_"),
    [
        ("state of binary_sensor.motion", "device", "binary_sensor.motion"),
        ("numeric state of sensor.t", "device", "sensor.t"),
        ("numeric state of sun.sun", "time", "sun.sun"),
        ("sensor.t via template", "device", "sensor.t"),
        ("person.anna entering Home", "device", "person.anna"),
        ("time", "time", "time"),
        ("time pattern", "time", "time pattern"),
        ("time set in input_datetime.alarm", "time", "time set in input_datetime.alarm"),
        ("time change or manual update via template", "time", "time change or manual update via template"),
        ("sunset with offset", "time", "sunset with offset"),
        ("mqtt topic a/b", "device", "mqtt:a/b"),
        ("event 'zha_event'", "device", "event 'zha_event'"),
        ("Home Assistant starting", "unknown", "Home Assistant starting"),
        ("state of input_boolean.x", "unknown", ""),
        ("", "unknown", ""),
        ("x" * 1000, "unknown", "x" * 200),
    ],
)
def test_a_trigger_without_a_parent_is_read_from_the_automations_own_words(source: str, kind: str, id_: str) -> None:
    assert origin_of_trigger(source) == (kind, id_)


@pytest.mark.parametrize(
    ("entity_id", "kind"),
    [("sun.sun", "time"), ("timer.egg", "time"), ("input_number.x", "unknown"), ("sensor.x", "device")],
)
def test_a_change_without_context_is_a_devices_unless_no_device_can_be_behind_it(entity_id: str, kind: str) -> None:
    assert origin_of_entity(entity_id)[0] == kind
    assert causes(changed(entity_id, 1)) == [kind]


def test_events_without_a_context_get_no_cause() -> None:
    event = changed(LIGHT, None)

    assert run(CauseStep(), event) == [True]
    assert event.extras is None


def test_an_automation_is_known_by_its_own_state_where_its_trigger_may_not_be_heard() -> None:
    events = [changed(HALL, 2, parent=1, previous_state="on"), changed(LIGHT, 2, parent=1), changed(MOTION, 1)]

    assert causes(*events)[1] == f"automation {HALL} <- device {MOTION} (2)"


def test_an_automation_that_another_one_switches_on_did_not_run_there() -> None:
    events = [
        changed(NIGHT, 2, parent=1),
        triggered(HALL, 2, f"state of {MOTION}", parent=1),
        changed(MOTION, 1),
        changed(LIGHT, 2, parent=1),
    ]

    found = causes(*events)

    assert found[0] == found[3] == f"automation {HALL} <- device {MOTION} (2)"


def test_a_cause_that_is_not_heard_yet_is_waited_for_and_found() -> None:
    step = CauseStep()
    event = triggered(NIGHT, 4, f"state of {SWITCH}", parent=3)

    first = run(step, event)
    run(step, triggered(HALL, 3, "time"))
    second = run(step, event, waited_s=0.5)

    assert (first, second) == ([False], [True])
    assert told(event) == f"automation {HALL} <- time time (2)"


def test_a_cause_that_nobody_ever_hears_is_unknown_after_the_wait_and_not_waited_for_again() -> None:
    step = CauseStep(wait_s=2)
    first, second = changed(LIGHT, 2, parent=1), changed(LIGHT, 2, parent=1)

    waits = [run(step, first, waited_s=one) for one in (0, 0.5, 1.9, 2.0)]
    afterwards = run(step, second)

    assert (waits, afterwards) == ([[False], [False], [False], [True]], [True])
    assert told(first) == told(second) == "unknown <- unknown (2)"


def test_an_automation_whose_trigger_was_not_heard_names_it_and_does_not_say_whose_doing_it_was() -> None:
    event = triggered(HALL, 2, "event 'doorbell'", parent=1)

    assert run(CauseStep(), event, waited_s=2) == [True]
    assert told(event) == "unknown event 'doorbell' <- unknown event 'doorbell' (1)"


def test_the_clock_is_behind_an_automation_that_a_timer_sets_off_whoever_started_the_timer() -> None:
    event = triggered(HALL, 2, "event 'timer.finished'", parent=1)

    assert run(CauseStep(), event) == [True]
    assert told(event) == "time event 'timer.finished' <- time event 'timer.finished' (1)"


def test_a_helper_does_not_change_by_itself_so_who_changed_it_is_waited_for() -> None:
    step = CauseStep()
    event = triggered(NIGHT, 4, f"state of {SWITCH}", parent=3)

    assert run(step, changed(SWITCH, 3), event) == [True, False]
    run(step, triggered(HALL, 3, "time pattern"))
    assert run(step, event, waited_s=0.5) == [True]
    assert told(event) == f"automation {HALL} <- time time pattern (2)"


def test_a_flood_of_unknown_parents_is_not_held_for_longer_than_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cause_module, "MAX_HELD_PER_S", 10)
    step = CauseStep(clock=lambda: 100.0)

    went_on = run(step, *(changed(LIGHT, 1000 + number, parent=1 + number) for number in range(100)))

    assert went_on.count(False) == 10


def test_an_automation_that_sets_itself_off_again_is_a_loop() -> None:
    events = [
        changed(SWITCH, 1, user=ANNA),
        triggered(HALL, 2, f"state of {SWITCH}", parent=1),
        triggered(NIGHT, 3, "state of light.x", parent=2),
        triggered(HALL, 4, f"state of {SWITCH}", parent=3),
        changed(LIGHT, 4, parent=3),
        changed(LIGHT, 3, parent=2),
    ]

    causes(*events)

    assert [(event.extras or {}).get("cause_loop") for event in events] == [None, None, None, None, True, None]
    assert told(events[4]) == f"automation {HALL} <- user {ANNA} (4)"


def test_a_loop_that_never_ends_costs_no_more_with_each_turn() -> None:
    step = CauseStep()
    run(step, changed(SWITCH, 1, user=ANNA))

    for turn in range(2, 1002):
        run(step, event := triggered(f"automation.{turn % 2}", turn, "state of light.x", parent=turn - 1))

    assert told(event) == f"automation automation.0 <- user {ANNA} (1000)"
    contexts = step._homes["home"]  # what it keeps is the point
    assert len(contexts.of_run(contexts.runs.new[ctx(1001)], lambda _: False).inner.above) == 2


def test_contexts_that_are_each_others_parents_come_to_an_end() -> None:
    events = [triggered(HALL, 1, "state of light.x", parent=2), triggered(NIGHT, 2, "state of light.x", parent=1)]

    step = CauseStep()

    assert run(step, *events) == [False, False]
    assert run(step, *events, waited_s=2) == [True, True]


def test_what_one_worker_heard_another_one_knows() -> None:
    shared = MemoryContexts()
    one, other = CauseStep(shared.beside()), CauseStep(shared.beside())
    event = changed(LIGHT, 2, parent=1)

    run(one, changed(MOTION, 1), triggered(HALL, 2, f"state of {MOTION}", parent=1))

    assert run(other, event) == [True]
    assert told(event) == f"automation {HALL} <- device {MOTION} (2)"


def test_homes_have_nothing_to_do_with_each_other() -> None:
    step = CauseStep()
    run(step, triggered(HALL, 2, "time"), home="one")

    run(step, event := changed(LIGHT, 2), home="other")

    assert told(event) == "device"


def test_an_event_waits_for_its_cause_and_for_its_entity_at_the_same_time() -> None:
    places = MemoryHomeMap()
    places.publish(Snapshot("home", 1, 0, {}), [])

    steps = (PlaceStep(), CauseStep(wait_s=2))
    held = enrich(
        batches_of([changed(LIGHT, 2, parent=1)], 1)[0], places, now_ns=1_000_000_000, wait_s=1, steps=steps
    ).held
    assert held is not None

    after_place = enrich(held, places, now_ns=2_500_000_000, wait_s=1, steps=steps)
    assert after_place.held is not None
    after_both = enrich(after_place.held, places, now_ns=3_000_000_000, wait_s=1, steps=steps)

    assert after_place.ready is None
    assert after_both.ready is not None
    assert told(after_both.ready.events[0]) == "unknown <- unknown (2)"
