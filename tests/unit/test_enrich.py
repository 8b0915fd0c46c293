"""enrich: what goes on, what waits, and what is decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ingestor import errors
from ingestor.enrichment.place import PlaceStep
from ingestor.enrichment.steps import Surroundings
from ingestor.events.event import Event, EventBatch, Place, Settled
from ingestor.home.cache import MemoryHomeMap
from ingestor.home.model import NEVER_US, Snapshot, Timeline
from ingestor.pipeline.enrich import EnrichOutcome, enrich

NOW_NS = 1_795_229_244_000_000_000
NOW_US = NOW_NS // 1000
KITCHEN = Place("light.lamp", "light", area="Kitchen", floor="Ground", device="Lamp", integration="hue", labels=("a",))
ATTIC = Place("light.lamp", "light", area="Attic", device="Lamp", integration="hue")


def state(entity_id: str = "light.lamp", *, slot: int = 0, time_us: int = NOW_US, value: str | None = "on") -> Event:
    return Event(slot, "state", "state_changed", entity_id, entity_id, time_us, NOW_NS, "websocket", 1, state=value)


def event(subject: str, entity_id: str | None = None, *, slot: int = 0, time_us: int = NOW_US) -> Event:
    event_type = subject.partition(":")[0]
    return Event(slot, "event", event_type, subject, entity_id, time_us, NOW_NS, "websocket", 1)


def batch(*events: Event, **fields: Any) -> EventBatch:
    settled = [Settled("rejected", [99])]
    return EventBatch("b" * 26, "home", "websocket", "j", NOW_NS, 100, list(events), **{"settled": settled, **fields})


def home_map(**timelines: Timeline) -> MemoryHomeMap:
    found = MemoryHomeMap()
    named = {name.replace("__", "."): timeline for name, timeline in timelines.items()}
    found.publish(Snapshot("home", 1, 0, named), [])
    return found


def run(one: EventBatch, places: MemoryHomeMap, *, after_s: float = 0, wait_s: float = 5) -> EnrichOutcome:
    return enrich(one, places, now_ns=NOW_NS + int(after_s * 1e9), wait_s=wait_s)


def test_a_known_entity_gets_the_place_in_force_at_its_own_time() -> None:
    places = home_map(light__lamp=Timeline(0, KITCHEN, [(NOW_US, ATTIC)]))
    events = [state(slot=0, time_us=NOW_US - 1), state(slot=1), state(slot=2, value=None)]

    outcome = run(batch(*events), places)

    assert outcome.ready is not None
    assert outcome.held is None
    assert outcome.ready.places == [KITCHEN, ATTIC]
    assert [found.place for found in outcome.ready.events] == [0, 1, 1]
    assert outcome.ready.settled == [Settled("rejected", [99])]


def test_nothing_is_enriched_before_the_first_sync_however_long_it_takes() -> None:
    one = batch(state(), event("tag_scanned:-", slot=1))

    outcome = run(one, MemoryHomeMap(), after_s=1e6)

    assert (outcome.ready, outcome.held, outcome.retry_in_s) == (None, one, 1.0)
    assert one.first_tried_ns == 0


def test_an_unknown_entity_waits_and_its_neighbours_go_on() -> None:
    places = home_map(light__lamp=Timeline(0, KITCHEN))
    one = batch(state(slot=0), state("sensor.new", slot=1), event("tag_scanned:-", slot=2))

    outcome = run(one, places)

    assert outcome.ready is not None
    assert outcome.held is not None
    assert [found.slot for found in outcome.ready.events] == [0, 2]
    assert [found.slot for found in outcome.held.events] == [1]
    assert (outcome.ready.settled, outcome.held.settled) == ([Settled("rejected", [99])], [])
    assert (outcome.held.size, outcome.held.first_tried_ns) == (100, NOW_NS)
    assert 0 < outcome.retry_in_s <= 1


def test_what_was_settled_stays_with_the_held_part_where_nothing_is_ready() -> None:
    outcome = run(batch(state("sensor.new")), home_map())

    assert outcome.ready is None
    assert outcome.held is not None
    assert outcome.held.settled == [Settled("rejected", [99])]


def test_a_held_event_that_became_known_goes_on_with_its_series() -> None:
    places = home_map()
    held = run(batch(state("light.renamed")), places).held
    assert held is not None
    places.publish(Snapshot("home", 2, 0, {"light.renamed": Timeline(NOW_US, KITCHEN)}), [])

    outcome = run(held, places, after_s=1)

    assert outcome.held is None
    assert outcome.ready is not None
    assert outcome.ready.places == [KITCHEN]
    assert outcome.ready.events[0].entity_id == "light.renamed"


@pytest.mark.parametrize(("after_s", "goes_on"), [(0.1, False), (4.9, False), (5.0, True), (60, True)])
def test_an_unknown_entity_becomes_a_series_of_its_own_name_after_the_wait(after_s: float, *, goes_on: bool) -> None:
    places = home_map()
    held = run(batch(state("sensor.new")), places).held
    assert held is not None

    outcome = run(held, places, after_s=after_s)

    assert (outcome.ready is not None) is goes_on
    assert (outcome.held is None) is goes_on
    if outcome.ready:
        assert outcome.ready.places == [Place("sensor.new", "sensor")]
    if outcome.held:
        assert outcome.held.first_tried_ns == NOW_NS


class Busy(MemoryHomeMap):
    """A map whose syncs take longer than an event waits for them."""

    began_ns = 0

    def answered_since(self, home: str, since_ns: int) -> bool:
        return self.began_ns >= since_ns


@pytest.mark.parametrize(("after_s", "goes_on"), [(5.0, False), (59.9, False), (60.0, True)])
def test_while_no_sync_has_answered_an_unknown_entity_waits_on_to_twelve_times_as_long(
    after_s: float, *, goes_on: bool
) -> None:
    places = Busy()
    places.publish(Snapshot("home", 1, 0, {}), [])
    held = run(batch(state("sensor.new")), places).held
    assert held is not None

    outcome = run(held, places, after_s=after_s)

    assert (outcome.held is None) is goes_on
    assert goes_on or outcome.retry_in_s == 1.0


@pytest.mark.parametrize(("began_s", "goes_on"), [(-0.1, False), (0.1, True)])
def test_only_a_sync_that_began_after_the_event_came_says_that_its_entity_is_unknown(
    began_s: float, *, goes_on: bool
) -> None:
    places = Busy()
    places.publish(Snapshot("home", 1, 0, {}), [])
    held = run(batch(state("sensor.new")), places).held
    assert held is not None
    places.began_ns = NOW_NS + int(began_s * 1e9)

    outcome = run(held, places, after_s=6)

    assert (outcome.held is None) is goes_on


def test_the_wait_is_not_longer_than_what_is_left_of_it() -> None:
    held = run(batch(state("sensor.new")), home_map()).held
    assert held is not None

    assert run(held, home_map(), after_s=4.9).retry_in_s == pytest.approx(0.1)
    assert run(batch(state("sensor.new")), home_map(), wait_s=0).held is None


def test_a_decided_entity_does_not_wait_again() -> None:
    places = home_map()
    run(batch(state("sensor.new")), places, wait_s=0)

    outcome = run(batch(state("sensor.new")), places)

    assert outcome.held is None


def test_an_event_that_is_no_state_is_a_series_of_its_own_with_the_context_of_its_entity() -> None:
    places = home_map(light__lamp=Timeline(0, KITCHEN))

    outcome = run(batch(event("automation_triggered:light.lamp", "light.lamp")), places)

    assert outcome.ready is not None
    assert outcome.ready.places == [
        Place("automation_triggered:light.lamp", "light", "Kitchen", "Ground", "Lamp", "", "hue", ("a",))
    ]


@pytest.mark.parametrize(
    ("subject", "domain"),
    [
        ("call_service:light.turn_on", "light"),
        ("automation_triggered:automation.a", "automation"),
        ("homeassistant_start:-", "homeassistant_start"),
        ("component_loaded:mqtt", "component_loaded"),
        ("zha_event", "zha_event"),
    ],
)
def test_the_domain_of_an_event_comes_from_its_subject_alone(subject: str, domain: str) -> None:
    outcome = run(batch(event(subject)), home_map())

    assert outcome.ready is not None
    assert outcome.ready.places == [Place(subject, domain)]


def test_an_event_of_an_unknown_entity_does_not_wait_and_has_no_context_even_when_sent_again_later() -> None:
    places = home_map()
    early = event("automation_triggered:automation.new", "automation.new", time_us=NOW_US)
    first = run(batch(early), places).ready
    known = Timeline(NOW_US + 5_000_000, Place("automation.new", "automation", area="Hall"))
    places.publish(Snapshot("home", 2, 0, {"automation.new": known}), [])

    late = event("automation_triggered:automation.new", "automation.new", time_us=NOW_US + 5_000_000)
    again = run(batch(early, late), places).ready

    assert first is not None
    assert again is not None
    assert first.places == [Place("automation_triggered:automation.new", "automation")]
    assert again.places == [
        Place("automation_triggered:automation.new", "automation"),
        Place("automation_triggered:automation.new", "automation", area="Hall"),
    ]


def test_equal_places_are_kept_once_in_a_batch() -> None:
    places = home_map(light__lamp=Timeline(0, KITCHEN))
    events = [event("call_service:light.turn_on", slot=slot) for slot in range(50)]
    events += [event("automation_triggered:light.lamp", "light.lamp", slot=50 + slot) for slot in range(20)]

    outcome = run(batch(*events, state(slot=80), state(slot=81)), places)

    assert outcome.ready is not None
    assert len(outcome.ready.places) == 3
    series = [outcome.ready.places[found.place].series for found in outcome.ready.events]
    assert series == ["call_service:light.turn_on"] * 50 + ["automation_triggered:light.lamp"] * 20 + ["light.lamp"] * 2


def test_a_batch_of_which_all_is_settled_goes_on() -> None:
    outcome = run(batch(), home_map())

    assert outcome.ready is not None
    assert outcome.ready.settled == [Settled("rejected", [99])]
    assert outcome.held is None


def test_without_a_home_assistant_every_entity_is_a_series_of_its_own_name_at_once() -> None:
    places = MemoryHomeMap()
    places.publish(Snapshot("home", 1, NEVER_US, {}), [])

    outcome = run(batch(state("sensor.boiler")), places)

    assert outcome.held is None
    assert outcome.ready is not None
    assert outcome.ready.places == [Place("sensor.boiler", "sensor")]


class Breaks:
    name = "breaks"

    def apply(self, event: Event, around: Surroundings) -> bool:
        if event.slot == 1:
            raise ZeroDivisionError("no way")
        return True


def test_a_step_that_fails_becomes_a_note_on_its_event_alone() -> None:
    places = home_map(light__lamp=Timeline(0, KITCHEN))

    outcome = enrich(
        batch(state(slot=0), state(slot=1), state(slot=2)),
        places,
        now_ns=NOW_NS,
        wait_s=5,
        steps=(Breaks(), PlaceStep(), Breaks()),
    )

    assert outcome.ready is not None
    assert [len(found.notes) for found in outcome.ready.events] == [0, 2, 0]
    assert outcome.ready.events[1].notes[0] == "breaks: ZeroDivisionError: no way"
    assert [found.place for found in outcome.ready.events] == [0, 0, 0]


def test_an_event_whose_place_step_fails_is_a_series_of_its_own_name() -> None:
    outcome = enrich(batch(state(slot=1)), home_map(), now_ns=NOW_NS, wait_s=5, steps=(Breaks(),))

    assert outcome.ready is not None
    assert outcome.ready.places == [Place("light.lamp", "light")]


class LostMap(MemoryHomeMap):
    """A map that Redis has lost: what is held is known, nothing can be decided."""

    tries = 0

    def decide_unknown(self, home: str, entity_id: str, time_us: int) -> Place:
        self.tries += 1
        raise errors.StateUnavailable


def test_where_nothing_can_be_decided_the_unknown_waits_and_the_known_goes_on() -> None:
    places = LostMap()
    places.publish(Snapshot("home", 1, 0, {"light.lamp": Timeline(0, KITCHEN)}), [])

    outcome = run(batch(state("sensor.a", slot=0), state("sensor.b", slot=1), state(slot=2)), places, wait_s=0)

    assert outcome.ready is not None
    assert outcome.held is not None
    assert [found.slot for found in outcome.ready.events] == [2]
    assert [found.slot for found in outcome.held.events] == [0, 1]
    assert (places.tries, outcome.retry_in_s) == (1, 1.0)


class InBulk:
    """A step that does even slots in one go and odd ones singly; it holds slot 3, and may fail as a whole."""

    name = "bulk"

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.singly: list[int] = []

    def apply_all(self, events: Sequence[Event], around: Surroundings) -> Sequence[Event]:
        if self.fails:
            raise ZeroDivisionError("not at once")
        return [one for one in events if one.slot % 2]

    def apply(self, event: Event, around: Surroundings) -> bool:
        self.singly.append(event.slot)
        return event.slot != 3


def five_states(step: InBulk, places: MemoryHomeMap) -> EnrichOutcome:
    events = [state("sensor.unknown" if slot == 0 else "light.lamp", slot=slot) for slot in range(5)]
    return enrich(batch(*events), places, now_ns=NOW_NS, wait_s=5, steps=(step, PlaceStep()))


def test_what_a_step_does_in_bulk_is_not_asked_for_singly_and_what_waits_keeps_its_order() -> None:
    step = InBulk()

    outcome = five_states(step, home_map(light__lamp=Timeline(0, KITCHEN)))

    assert step.singly == [1, 3]
    assert outcome.ready is not None
    assert outcome.held is not None
    assert [one.slot for one in outcome.ready.events] == [1, 2, 4]
    assert [one.slot for one in outcome.held.events] == [0, 3]


def test_a_bulk_that_fails_is_done_event_by_event() -> None:
    step = InBulk(fails=True)

    outcome = five_states(step, home_map(light__lamp=Timeline(0, KITCHEN)))

    assert step.singly == [0, 1, 2, 3, 4]
    assert outcome.ready is not None
    assert [one.slot for one in outcome.ready.events] == [1, 2, 4]
    assert [len(one.notes) for one in outcome.ready.events] == [0, 0, 0]
