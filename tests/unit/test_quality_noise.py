"""The noise report: what is measured, what is proposed, and that the proposals save exactly what was said."""

from __future__ import annotations

import math
import random
import tomllib
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from itertools import pairwise

import pytest

from ingestor.events.point import StoredEvent
from ingestor.quality.noise import MAX_DISTINCT, Measured, entropy, measure, own_noise
from ingestor.quality.noise_config import recorder_yaml, settings_toml
from ingestor.quality.noise_proposals import MOST_OFF, Proposed, candidates, saved, simulate
from ingestor.quality.rule import Limits
from ingestor.quality.tryout import try_rule
from ingestor.quality.user_rules import compiled
from ingestor.settings_quality import QualitySettings
from ingestor.storage.line_protocol import Encoder
from ingestor.storage.memory import MemoryStore
from ingestor.storage.port import EventQuery

SECOND = 1_000_000_000
LIMITS = Limits(latest_us=2_000_000_000_000_000)
ALL = EventQuery(kind="state", limit=1_000_000)


class Stored(MemoryStore):
    """A store of given events, newest first."""

    def __init__(self, events: list[StoredEvent]) -> None:
        super().__init__()
        self._stored = sorted(events, key=lambda one: -one.time_ns)

    def read(self, query: EventQuery) -> Iterator[StoredEvent]:
        fitting = (one for one in self._stored if query.until_ns is None or one.time_ns < query.until_ns)
        yield from [one for _, one in zip(range(query.limit), fitting, strict=False)]


def series(entity_id: str, states: list[str], unit: str = "W", every_s: int = 10, **tags: str) -> list[StoredEvent]:
    domain = entity_id.partition(".")[0]
    given = {"home": "home", "series": entity_id, "domain": domain, **tags}
    before = [None, *states]
    found = []
    for number, state in enumerate(states):
        fields: dict[str, str | float | bool | int] = {"state": state, "entity_id": entity_id, "unit": unit}
        if before[number] is not None:
            fields["previous_state"] = str(before[number])
        found.append(StoredEvent(number * every_s * SECOND, "state", "home", entity_id, domain, given, fields))
    return found


def noisy(seed: int, around: float = 230.0, sigma: float = 0.4) -> list[str]:
    chance = random.Random(seed)
    return [f"{around + chance.gauss(0, sigma):.2f}" for _ in range(400)]


@pytest.fixture
def store() -> Stored:
    """A home with noise of every kind, and what is none."""
    events = [one for number in range(4) for one in series(f"sensor.plug_{number}_voltage", noisy(number), "V")]
    events += [one for number in range(3) for one in series(f"sensor.n{number}_linkquality", noisy(9), "lqi")]
    events += series("sensor.status", ["ok"] * 300, "", integration="cast")
    events += series("sensor.used_status", ["ok"] * 300, "")
    events += series("sensor.meter_energy", [f"{number / 100:.2f}" for number in range(400)], "kWh")
    events += series("sensor.outside", [f"{10 * math.sin(number / 60):.1f}" for number in range(400)], "°C")
    events += series("binary_sensor.motion", ["on", "off"] * 200, "")
    return Stored(events)


def uses(entity_id: str) -> list[str]:
    return ["automation.alarm"] if entity_id == "sensor.used_status" else []


def looked(store: Stored) -> tuple[Measured, Proposed]:
    measured = measure(store, ALL, {"sensor.outside": "met"}, lambda _measured: None)
    return measured, simulate(candidates(measured, uses), store, ALL, LIMITS, lambda _points, _time: None)


def test_points_bytes_and_information_are_counted_by_entity_and_integration(store: Stored) -> None:
    measured, _ = looked(store)

    found = {one.entity_id: one for one in measured.entities}
    assert found["sensor.status"].points == 300
    assert (found["sensor.status"].distinct, found["sensor.status"].bits) == (1, 0.0)
    assert found["sensor.status"].repeat_share == pytest.approx(299 / 300)
    assert found["binary_sensor.motion"].bits_per_event == pytest.approx(1.0)
    assert measured.points == sum(one.points for one in measured.entities) == 400 * 10 + 600
    by_name = {row[0]: row[1:] for row in measured.by_integration()}
    assert set(by_name) == {"cast", "met", "unknown"}
    assert by_name["cast"] == (1, 300, found["sensor.status"].bytes, 1, 0.0)


def test_bytes_are_those_of_the_line_that_a_store_is_sent() -> None:
    (one,) = series("sensor.a", ["1"], "W")
    store = Stored([one])

    measured, _ = looked(store)

    line = b'home_assistant_events,domain=sensor,home=home,series=sensor.a state="1",entity_id="sensor.a",unit="W" 0\n'
    assert measured.bytes == len(line)
    assert Encoder().encode([]) == b""


def test_what_an_entity_is_counted_in_stays_of_one_size() -> None:
    store = Stored(series("sensor.a", [str(number) for number in range(5_000)]))

    measured, _ = looked(store)

    assert measured.entities[0].distinct == MAX_DISTINCT
    assert 8 < measured.entities[0].bits_per_event <= 9


def test_a_sensors_own_noise_is_told_from_what_truly_changes() -> None:
    chance = random.Random(1)
    slow = [10 * math.sin(number / 200) for number in range(500)]
    told = [value + chance.gauss(0, 0.2) for value in slow]

    def pairs(values: list[float]) -> list[tuple[float, float]]:
        changes = [after - before for before, after in pairwise(values)]
        return list(pairwise(changes))

    assert own_noise(pairs(told)) == pytest.approx(0.2, rel=0.2)
    assert own_noise(pairs(slow)) == 0.0
    assert own_noise(pairs(told[:10])) is None


def test_entropy_is_in_bits() -> None:
    assert entropy([1, 1, 1, 1]) == 2.0
    assert entropy([5]) == entropy([]) == 0.0


def test_what_says_nothing_is_to_be_left_out_and_noise_gets_a_dead_band(store: Stored) -> None:
    _, proposed = looked(store)

    found = {one.noise.entity_id: one for one in proposed.chosen}
    assert {name for name, one in found.items() if one.kind == "exclude"} == {
        "sensor.status",
        *(f"sensor.n{number}_linkquality" for number in range(3)),
    }
    assert {name for name, one in found.items() if one.kind == "dead-band"} == {
        f"sensor.plug_{number}_voltage" for number in range(4)
    }
    band = found["sensor.plug_0_voltage"]
    assert band.change is not None
    assert 0.8 <= band.change <= 2.5
    assert 0 < (band.largest_deviation or 0) <= MOST_OFF * band.change


def test_what_an_automation_uses_is_named_and_stays(store: Stored) -> None:
    measured, proposed = looked(store)
    everyone = [one.entity_id for one in measured.entities]

    assert [(one.noise.entity_id, one.used_by) for one in proposed.used] == [
        ("sensor.used_status", ("automation.alarm",))
    ]
    for text in (recorder_yaml(proposed, everyone), settings_toml(proposed, everyone)):
        lines = [line for line in text.splitlines() if "used_status" in line]
        assert lines == [line for line in lines if line.strip().startswith("#") and "automation.alarm" in line] != []


def test_the_largest_deviation_is_that_of_the_series_that_is_left() -> None:
    values = noisy(3)
    store = Stored(series("sensor.a_voltage", values, "V"))

    _, proposed = looked(store)

    (band,) = proposed.chosen
    assert band.change is not None
    held, off = None, 0.0
    for before, state in zip([None, *values], values, strict=False):
        if before is None or before == state or abs(float(state) - float(before)) >= band.change:
            held = float(state)
        assert held is not None
        off = max(off, abs(float(state) - held))
    assert band.largest_deviation == pytest.approx(off)


def test_rules_that_are_loaded_back_save_exactly_what_was_simulated(store: Stored) -> None:
    measured, proposed = looked(store)

    text = settings_toml(proposed, [one.entity_id for one in measured.entities])
    settings = QualitySettings.model_validate(tomllib.loads(text)["quality"])
    tried = [try_rule(compiled(rule), store, ALL, LIMITS, lambda _tried: None) for rule in settings.rules]

    assert {rule.kind for rule in settings.rules} == {"deny", "dead-band"}
    assert sum(one.hits for one in tried) == saved(proposed.chosen, measured)["points"] > 1_500


def test_the_recorders_yaml_excludes_exactly_what_was_simulated(store: Stored) -> None:
    measured, proposed = looked(store)
    everyone = {one.entity_id: one.points for one in measured.entities}

    text = recorder_yaml(proposed, everyone)

    assert text.startswith("recorder:\n  exclude:\n")
    is_out = excluded(text)
    points = sum(points for entity_id, points in everyone.items() if is_out(entity_id))
    assert points == sum(one.points for one in proposed.of("exclude")) == 300 + 3 * 400
    assert '      - "sensor.*_linkquality"' in text.splitlines()


def excluded(text: str) -> Callable[[str], bool]:
    """Read what Home Assistant would: lists under domains, entity_globs and entities."""
    found: dict[str, list[str]] = {"domains": [], "entity_globs": [], "entities": []}
    name = ""
    for line in text.splitlines():
        word = line.strip()
        if word.startswith("- "):
            found[name].append(word[3:-1])
        elif word.rstrip(":") in found:
            name = word.rstrip(":")
    return lambda entity_id: (
        entity_id.partition(".")[0] in found["domains"]
        or entity_id in found["entities"]
        or any(fnmatchcase(entity_id, glob) for glob in found["entity_globs"])
    )


def test_a_pattern_names_nobody_who_was_not_proposed() -> None:
    events = [one for number in range(3) for one in series(f"sensor.n{number}_linkquality", noisy(9), "lqi")]
    events += series("sensor.good_linkquality", ["1", "2"], "steps")
    measured, proposed = looked(Stored(events))

    text = recorder_yaml(proposed, [one.entity_id for one in measured.entities])

    assert "entity_globs" not in text
    assert text.count("linkquality") == 3


def test_where_there_is_no_noise_nothing_is_proposed() -> None:
    measured, proposed = looked(Stored(series("sensor.a", ["1", "2"])))

    assert not proposed.chosen
    assert recorder_yaml(proposed, []).startswith("# There is nothing")
    assert tomllib.loads(settings_toml(proposed, [])) == {}
    assert saved(proposed.chosen, measured)["points"] == 0
