"""`/api/v1/events` over HTTP: filters, pages, ids, and what is said to questions that cannot be answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from ingestor import bootstrap
from ingestor.export.columns import NAMES
from ingestor.export.text_forms import NdJsonWriter
from ingestor.home.history import TIMELINE
from ingestor.storage.port import EventQuery
from tests.integration.api_bench import ApiBench, api_bench, called, state

EVENTS = "/api/v1/events"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiBench]:
    with api_bench(tmp_path, {"homes": [{"name": "cabin"}]}) as bench:
        kitchen = {"area": "Kitchen", "device": "Climate", "device_class": "temperature"}
        bench.write(
            state(0, "sensor.kitchen", "21.5", place=kitchen, unit="°C", context_id="01A"),
            state(
                1, "light.hall", place={"area": "Hall"}, extras={"cause_kind": "automation", "cause_id": "automation.x"}
            ),
            state(2, "sensor.renamed", "22", place={"area": "Attic"}),
            called(3, "light.hall"),
        )
        bench.write(state(4, "light.cabin"), home="cabin")
        yield bench


def mapped(api: ApiBench, entity_id: str, series: str, integration: str, **place: str) -> None:
    """Note in the map's history what an entity is stored as, and what it belongs to."""
    row = dict.fromkeys((column.name for column in TIMELINE.columns if column.name != "id"), "")
    more = {"home": "home", "entity_id": entity_id, "series": series, "integration": integration, **place}
    engine = bootstrap.open_metadata(api.settings)
    with engine.begin() as connection:
        connection.execute(sa.insert(TIMELINE), [{**row, **more, "version": 1, "effective_us": 0, "labels": []}])


def test_an_event_says_what_an_export_says(api: ApiBench) -> None:
    store = bootstrap.open_store(api.settings)
    stored = list(store.read(EventQuery()))
    store.close()

    told = api.get(EVENTS)["items"]

    exported = [orjson.loads(line) for line in NdJsonWriter().add(stored).splitlines()]
    assert [{name: value for name, value in one.items() if value not in (None, {})} for one in told] == exported
    assert [tuple(one) for one in told] == [NAMES] * 5


def series(api: ApiBench, **params: Any) -> list[str]:
    return [event["series"] for event in api.get(EVENTS, **params)["items"]]


def test_an_event_is_told_with_all_that_is_stored_of_it(api: ApiBench) -> None:
    found = api.get(EVENTS, entity="sensor.kitchen")

    assert found == {
        "items": [
            {
                "time": "2026-11-21T02:47:24.000000042Z",
                "event_id": "home~sensor.kitchen~1795229244000000042",
                "kind": "state",
                "event_type": "state_changed",
                "home": "home",
                "series": "sensor.kitchen",
                "entity_id": "sensor.kitchen",
                "domain": "sensor",
                "area": "Kitchen",
                "device": "Climate",
                "device_class": "temperature",
                "state": "21.5",
                "value": 21.5,
                "unit": "°C",
                "previous_state": None,
                "available": True,
                "source": "websocket",
                "context_id": "01A",
                "cause_kind": None,
                "cause_id": None,
                "more": {},
            }
        ],
        "next": None,
    }


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ["light.cabin", "call_service:light.hall", "sensor.renamed", "light.hall", "sensor.kitchen"]),
        ({"order": "oldest", "limit": 1}, ["sensor.kitchen"]),
        ({"entity": "light.*"}, ["light.cabin", "call_service:light.hall", "light.hall"]),
        ({"entity": "light.hall"}, ["call_service:light.hall", "light.hall"]),
        ({"entity": "light.hall", "kind": "state"}, ["light.hall"]),
        ({"home": "cabin"}, ["light.cabin"]),
        ({"domain": "sensor"}, ["sensor.renamed", "sensor.kitchen"]),
        ({"area": ["Kitchen", "Attic"]}, ["sensor.renamed", "sensor.kitchen"]),
        ({"device": "Climate"}, ["sensor.kitchen"]),
        ({"type": "call_*"}, ["call_service:light.hall"]),
        ({"cause": "automation.*"}, ["light.hall"]),
        ({"context": "01A"}, ["sensor.kitchen"]),
        ({"since": "2026-11-21T02:47:27Z"}, ["light.cabin", "call_service:light.hall"]),
        ({"until": "2026-11-21T03:47:25+01:00"}, ["sensor.kitchen"]),
        ({"since": "9999-01-01T00:00:00Z"}, []),
        ({"entity": "nobody.*"}, []),
    ],
)
def test_events_are_chosen_by_each_filter(api: ApiBench, params: dict[str, Any], expected: list[str]) -> None:
    assert series(api, **params) == expected


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"area": "kitchen"}, ["sensor.loft", "sensor.kitchen"]),  # in both spellings that it ever had
        ({"area": "KÜCHE"}, ["light.stove"]),
        ({"area": "küche", "home": "cabin"}, []),
        ({"device": "CLIMATE", "area": "KITCHEN"}, ["sensor.kitchen"]),
        ({"area": "kitchens"}, []),
    ],
)
def test_names_of_areas_and_devices_are_taken_in_any_case_by_all_ways_out(
    api: ApiBench, params: dict[str, Any], expected: list[str]
) -> None:
    for entity, place in (("sensor.loft", {"area": "kitchen"}), ("light.stove", {"area": "Küche"})):
        api.write(state(5, entity, place=place))
        mapped(api, entity, entity, "", **place)
    mapped(api, "sensor.kitchen", "sensor.kitchen", "", area="Kitchen", device="Climate")

    told = ", ".join(f"{name}: {orjson.dumps(value).decode()}" for name, value in params.items())
    graph = api.client.post("/graphql", json={"query": f"{{ events(filter: {{{told}}}) {{ nodes {{ series }} }} }}"})
    lines = api.client.get("/api/v1/export/ndjson", params=params).text.splitlines()

    assert series(api, **params) == expected
    assert [one["series"] for one in graph.json()["data"]["events"]["nodes"]] == expected
    assert sorted(orjson.loads(line)["series"] for line in lines) == sorted(expected)


def test_an_entity_is_found_by_its_new_name_its_old_one_and_its_integration(api: ApiBench) -> None:
    api.write(state(5, "sensor.attic", "23", subject="sensor.attic"))
    mapped(api, "sensor.attic", "sensor.renamed", "mqtt")
    api.write((state(6, "sensor.attic", "24")[0], state(6, "sensor.renamed")[1]))

    assert series(api, entity="sensor.attic") == ["sensor.renamed", "sensor.attic"]
    assert series(api, entity="sensor.renamed") == ["sensor.renamed", "sensor.renamed"]
    assert series(api, integration="mqtt") == ["sensor.renamed", "sensor.renamed"]
    assert series(api, integration="hue") == []
    assert series(api, integration="mqtt", entity="light.hall") == []


def test_pages_are_followed_by_link_or_by_next(api: ApiBench) -> None:
    first = api.client.get(EVENTS, params={"limit": 2, "domain": ["light", "sensor"]})

    found, answer = list(first.json()["items"]), first
    while "next" in answer.links:
        assert answer.json()["next"] in answer.links["next"]["url"]
        answer = api.client.get(answer.links["next"]["url"])
        found += answer.json()["items"]

    assert [one["series"] for one in found] == series(api)
    assert answer.json()["next"] is None
    second = api.get(EVENTS, limit=3, domain=["light", "sensor"], cursor=first.json()["next"])
    assert [one["series"] for one in second["items"]] == series(api)[2:5]


@pytest.mark.parametrize("cursor", ["x", "", "W10", "bm90IG91cnM", "Ünicode", "x" * 2048, "WyJhIiwxLDIsMyw0XQ"])
def test_a_cursor_that_is_none_of_ours_is_refused(api: ApiBench, cursor: str) -> None:
    assert api.get(EVENTS, 400, cursor=cursor)["type"].endswith(":unanswerable")


def test_a_cursor_of_another_question_is_refused(api: ApiBench) -> None:
    cursor = api.get(EVENTS, limit=1)["next"]

    assert "another question" in api.get(EVENTS, 400, cursor=cursor, domain="light")["detail"]


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-11-21T02:47:24"}, "since"),
        ({"entity": ""}, "entity"),
        ({"entity": "a\x00b"}, "entity"),
        ({"entity": "x" * 256}, "entity"),
        ({"kind": "states"}, "kind"),
        ({"area": ["x"] * 51}, "area"),
        ({"entty": "light.*"}, "entty"),
        ({"cursor": "x" * 2049}, "cursor"),
        ({"entity": ["light.*", "sensor.*"]}, "entity"),
        ({"kind": ["state", "event"]}, "kind"),
        ({"type": ["a", "a"]}, "type"),
        ({"limit": [5, 6]}, "limit"),
    ],
)
def test_a_bad_parameter_is_named(api: ApiBench, params: dict[str, Any], name: str) -> None:
    found = api.get(EVENTS, 422, **params)

    assert [one["name"].partition(".")[0] for one in found["errors"]] == [name]


def test_what_is_given_twice_and_has_one_value_is_refused_everywhere(api: ApiBench) -> None:
    for path in ("/api/v1/export", "/api/v1/export/csv", "/api/v1/devices", "/api/events/recent"):
        assert [one["name"] for one in api.get(path, 422, limit=[1, 2])["errors"]] == ["limit"], path
    assert api.client.head(EVENTS, params={"limit": [1, 2]}).status_code == 422
    assert api.get(EVENTS, area=["Kitchen", "Hall"], limit=1)["items"]
    assert api.client.get("/livez", params={"x": [1, 2]}).status_code == 200


def test_an_event_is_found_by_its_id(api: ApiBench) -> None:
    for event in api.get(EVENTS)["items"]:
        assert api.get(f"{EVENTS}/{event['event_id']}") == event


@pytest.mark.parametrize(
    "event_id",
    ["nonsense", "home~sensor.kitchen~1", "home~sensor.kitchen~99999999999999999999", "a~b~-1", "~~~", "x/y"],
)
def test_an_event_that_is_not_there_is_not_found(api: ApiBench, event_id: str) -> None:
    assert api.get(f"{EVENTS}/{event_id}", 404)["type"].endswith(":not-found")


def test_while_the_store_is_away_it_is_said_so(tmp_path: Path) -> None:
    with api_bench(tmp_path, {"storage": {"url": "influxdb1://127.0.0.1:1/x"}}) as api:
        answer = api.client.get(EVENTS)

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:ha-ingestor:problem:unavailable")
    assert int(answer.headers["retry-after"]) >= 1
