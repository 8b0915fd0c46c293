"""A rule is tried on what is stored: page by page, before any repair, changing nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingestor import errors
from ingestor.events.point import StoredEvent
from ingestor.quality.naming import rule_named
from ingestor.quality.rule import Limits
from ingestor.quality.tryout import Tried, pages, try_rule
from ingestor.settings_quality import QualityRule, QualitySettings
from ingestor.storage.memory import MemoryStore
from ingestor.storage.port import EventQuery

LIMITS = Limits(latest_us=2_000_000_000_000_000)
SECOND = 1_000_000_000


class Stored(MemoryStore):
    """A store of given events, newest first, as the port says; counts how often it is read."""

    def __init__(self, events: list[StoredEvent]) -> None:
        super().__init__()
        self.events = sorted(events, key=lambda one: -one.time_ns)
        self.reads = 0

    def read(self, query: EventQuery) -> Iterator[StoredEvent]:
        self.reads += 1
        fitting = (
            one
            for one in self.events
            if (query.since_ns is None or one.time_ns >= query.since_ns)
            and (query.until_ns is None or one.time_ns < query.until_ns)
        )
        yield from [one for _, one in zip(range(query.limit), fitting, strict=False)]


def stored(second: int, state: str, series: str = "sensor.a", **fields: str) -> StoredEvent:
    given = {"state": state, "entity_id": series, "unit": "°C", "source": "websocket", **fields}
    tags = {"device_class": "temperature"}
    return StoredEvent(second * SECOND, "state", "home", series, "sensor", tags, dict(given))


def tried(name: str, events: list[StoredEvent], settings: QualitySettings | None = None) -> Tried:
    rule = rule_named(name, settings or QualitySettings())
    return try_rule(rule, Stored(events), EventQuery(limit=1_000_000), LIMITS, lambda _tried: None)


def test_pages_bring_every_event_once_also_where_many_have_one_time() -> None:
    events = [stored(number // 7, "1", f"sensor.n{number}") for number in range(12_000)]
    store = Stored(events)

    found = [one for page in pages(store, EventQuery(limit=1_000_000)) for one in page]

    assert sorted(one.series for one in found) == sorted(one.series for one in events)
    assert store.reads == 3


def test_no_more_is_read_than_is_asked_for() -> None:
    store = Stored([stored(number, "1") for number in range(100)])

    assert [len(page) for page in pages(store, EventQuery(limit=30))] == [30]


def test_a_rule_of_ours_is_counted_with_its_entities_and_examples() -> None:
    events = [stored(number, "-300" if number % 10 == 0 else "21", f"sensor.n{number % 20}") for number in range(100)]

    found = tried("bounds", events, QualitySettings(severity=("bounds=repair",)))

    assert (found.looked, found.hits, found.share) == (100, 10, 0.1)
    assert dict(found.by_entity) == {"sensor.n0": 5, "sensor.n10": 5}
    assert found.examples[0].becomes == "no value"
    assert found.examples[0].detail.startswith("-300 °C is not from -273.15")


def test_what_was_repaired_is_looked_at_as_it_came() -> None:
    found = tried("unit_spelling", [stored(1, "12", unit="\u03bcg/m³", raw_unit="\u00b5g/m³"), stored(2, "21")])

    assert found.hits == 1
    assert found.examples[0].becomes == "12 \u03bcg/m³"


def test_a_rule_of_ones_own_is_known_by_its_name_or_written_out() -> None:
    rule = QualityRule(name="band", kind="dead-band", change=0.5)
    events = [stored(1, "21.2", previous_state="21.0"), stored(2, "22", previous_state="21.2")]

    named = tried("band", events, QualitySettings(rules=(rule,)))
    written = tried('{kind = "dead-band", change = 0.5}', events)

    assert named.hits == written.hits == 1
    assert named.examples[0].becomes == written.examples[0].becomes == "left out"


@pytest.mark.parametrize("text", ['kind = "bounds"', "kind = ", 'kind = "dead-band", change = -1'])
def test_a_rule_that_is_none_is_refused_with_its_reason(text: str) -> None:
    with pytest.raises(errors.InvalidSettings, match="the rule is"):
        rule_named(text, QualitySettings())


def test_a_rule_about_what_no_store_has_says_so() -> None:
    with pytest.raises(errors.Rejected, match="not in the store"):
        tried("out_of_order", [])
    with pytest.raises(errors.NotFound, match="there is no rule 'nonsense'"):
        rule_named("nonsense", QualitySettings())
