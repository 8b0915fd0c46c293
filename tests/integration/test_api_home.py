"""Homes, relationships, quality, ledger, gaps, quarantine over HTTP: what the command line tells, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from typer.testing import CliRunner

from ingestor import bootstrap
from ingestor.cli.main import build_app
from ingestor.home.history import MapHistory, Version
from ingestor.home.objects import Observed
from tests.integration.api_bench import ApiBench, api_bench
from tests.integration.api_home import fill

V1 = "/api/v1"
DEVICE = "b7bb3d9cea41e0280f8531fddf80a534"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiBench]:
    with api_bench(tmp_path_factory.mktemp("api"), {"homes": [{"name": "cabin"}]}) as bench:
        fill(bench)
        yield bench


def told(api: ApiBench, *words: str) -> Any:
    """Return what the command line tells programs."""
    done = CliRunner().invoke(build_app(), ["--set", f"data_dir={api.settings.data_dir}", *words, "--json"])
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/relationships/cycles", ("home", "cycles")),
        ("/relationships/uses?thing=light.bed_light", ("home", "uses", "light.bed_light")),
        ("/relationships/impact?thing=integration:mqtt", ("home", "impact", "integration:mqtt")),
        ("/entities/light.bed_light/relationships", ("home", "related", "light.bed_light")),
        ("/automations/dependencies", ("home", "automations")),
    ],
)
def test_the_graph_says_over_http_what_it_says_on_the_command_line(
    api: ApiBench, path: str, words: tuple[str, ...]
) -> None:
    found = api.get(V1 + path)

    assert found.get("items", found) == told(api, *words)


@pytest.mark.parametrize(("path", "kind", "count"), [("devices", "device", 56), ("areas", "area", 11)])
def test_the_objects_of_a_home_come_in_pages(api: ApiBench, path: str, kind: str, count: int) -> None:
    found, cursor = list[Any](), ""
    while True:
        page = api.get(f"{V1}/{path}?limit=10" + (f"&cursor={cursor}" if cursor else ""))
        found += page["items"]
        if (cursor := page["next"]) is None:
            break

    assert {one["id"]: one["data"] for one in found} == told(api, "home", "list", kind)
    assert len(found) == count
    assert api.get(f"{V1}/{path}", home="cabin")["items"] == []


@pytest.mark.parametrize("name", [DEVICE, "Bed Light", "bed light"])
def test_a_device_is_found_by_id_or_name_with_what_is_stored_of_it(api: ApiBench, name: str) -> None:
    known = api.get(f"{V1}/devices/{name}")
    events = api.get(f"{V1}/devices/{name}/events", limit=3)

    assert (known["id"], known["name"], known["kind"], known["until"]) == (DEVICE, "Bed Light", "device", None)
    assert {one["entity_id"] for one in events["items"]} == {"light.bed_light"}
    assert events["next"] is not None


def test_a_cursor_of_one_thing_is_none_of_another(api: ApiBench) -> None:
    cursor = api.get(f"{V1}/devices/{DEVICE}/events", limit=1)["next"]

    assert api.get(f"{V1}/devices/{DEVICE}/events", limit=1, cursor=cursor)["items"]
    assert "cursor" in api.get(f"{V1}/entities/light.bed_light/events", 400, limit=1, cursor=cursor)["detail"]


def test_the_events_of_an_area_are_those_of_what_is_in_it(api: ApiBench) -> None:
    all_of_it = api.get(f"{V1}/areas/Bedroom/events", limit=100)["items"]
    calls = api.get(f"{V1}/areas/Bedroom/events", type="call_service")["items"]

    assert len(all_of_it) == 13
    assert [one["series"] for one in calls] == ["call_service:light.bed_light"]
    assert api.get(f"{V1}/areas/Bedroom/events", entity="sensor.kitchen")["items"] == []
    assert api.get(f"{V1}/areas/kitchen/events")["items"] == []


def test_an_entity_tells_its_series_and_an_automation_its_runs(api: ApiBench) -> None:
    entity = api.get(f"{V1}/entities/light.bed_light")
    runs = api.get(f"{V1}/automations/automation.always_fails_no_such_service/executions")["items"]

    assert (entity["series"], entity["former_entity_ids"], entity["name"]) == ("light.bed_light", [], "light.bed_light")
    assert runs
    assert {run["entity_id"] for run in runs} == {"automation.always_fails_no_such_service"}
    assert [run["started"] for run in runs] == sorted((run["started"] for run in runs), reverse=True)


def test_two_things_are_connected_by_the_fewest_edges(api: ApiBench) -> None:
    def path(start: str, end: str) -> Any:
        return api.get(f"{V1}/relationships/path?from={start}&to={end}")

    direct = path(f"device:{DEVICE}", "light.bed_light")
    same = path("light.bed_light", "light.bed_light")
    far = path("light.bed_light", "automation.chain_a")

    assert [edge["edge"] for edge in direct["edges"]] == ["contains"]
    assert (same["connected"], same["edges"]) == (True, [])
    ends = [{edge["source"], edge["target"]} for edge in far["edges"]]
    assert "light.bed_light" in ends[0]
    assert "automation.chain_a" in ends[-1]
    assert all(one & other for one, other in pairwise(ends))


def test_the_ledger_balances_in_words(api: ApiBench) -> None:
    found = api.get(f"{V1}/ledger", since="2026-11-21T03:30:00Z", until="2026-11-21T04:00:00Z")

    assert [(row["received"], row["lost"], row["balances"]) for row in found["rows"]] == [(9, 1, True)]
    assert found["verdict"].startswith("1 event lost")
    assert api.get(f"{V1}/ledger", since="2026-11-21T04:00:00Z", until="2026-11-22T00:00:00Z")["rows"] == []


def test_a_piece_of_the_quarantine_keeps_its_secrets(api: ApiBench) -> None:
    (cause,) = api.get(f"{V1}/quarantine")["items"]
    (piece,) = api.get(f"{V1}/quarantine/pieces", cause=cause["cause"])["items"]

    assert piece == api.get(f"{V1}/quarantine/pieces/{piece['id']}")
    assert "lock.door" in piece["raw"]
    assert "my secret" not in piece["raw"]
    assert api.get(f"{V1}/quarantine/pieces", cause="none")["items"] == []


@pytest.mark.parametrize(
    ("accept", "media_type", "begins"),
    [
        ("*/*", "application/json", b"{"),
        ("application/json, text/plain, */*", "application/json", b"{"),
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html; charset=utf-8",
            b"<!doctype html>",
        ),
        ("text/markdown", "text/markdown; charset=utf-8", b"# "),
        ("application/pdf", "application/pdf", b"%PDF-"),
    ],
)
def test_a_report_is_given_in_the_form_that_is_liked_best(
    api: ApiBench, accept: str, media_type: str, begins: bytes
) -> None:
    (head,) = api.get(f"{V1}/quality/reports")["items"]

    told = api.client.get(f"{V1}/quality/reports/{head['id']}", headers={"Accept": accept})

    assert (told.status_code, told.headers["content-type"]) == (200, media_type)
    assert told.content.lower().startswith(begins.lower())
    assert told.headers["vary"] == "Accept"
    assert told.headers["content-security-policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize(
    "path",
    [
        "/devices/nobody",
        "/devices/nobody/events",
        "/areas/nowhere/relationships",
        "/automations/automation.none/executions",
        "/relationships/uses?thing=light.none",
        "/relationships/path?from=light.none&to=light.bed_light",
        "/relationships/cycles?home=cabin",
        "/devices?home=none",
        "/events/history/x",
        "/quality/metrics?home=none",
        "/quality/reports/none",
        "/gaps/none",
        "/quarantine/pieces/2",
    ],
)
def test_what_is_not_there_is_not_found(api: ApiBench, path: str) -> None:
    assert api.get(V1 + path, 404)["type"].endswith(":not-found")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/devices?cursor=x", 400),
        ("/ledger?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", 400),
        ("/events?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", 400),
        ("/quality/errors?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", 400),
        ("/quality/errors?since=2000-01-01T00:00:00Z", 400),
        ("/quality/metrics?scope=planet", 422),
        ("/quarantine/pieces/x", 422),
        ("/quarantine/pieces?limit=26", 422),
        ("/gaps?since=yesterday", 422),
        ("/devices?aera=x", 422),
    ],
)
def test_a_question_that_cannot_be_answered_is_told_why(api: ApiBench, path: str, status: int) -> None:
    assert api.get(V1 + path, status)["detail"]


def test_a_change_in_the_home_is_in_the_next_answer(api: ApiBench) -> None:
    from ingestor import bootstrap  # noqa: PLC0415 -- only here
    from ingestor.home.objects import Observed  # noqa: PLC0415 -- only here

    assert api.get(f"{V1}/relationships/uses", thing="area:attic")["thing"] == "area:attic"
    objects = bootstrap.open_objects(api.settings)
    objects.take("home", Observed({"area": {"attic": {"area_id": "attic", "name": "Loft"}}}))

    assert api.get(f"{V1}/relationships/uses", thing="Loft")["thing"] == "area:attic"


def test_a_change_of_a_home_is_in_the_next_answer(api: ApiBench) -> None:
    objects = bootstrap.open_objects(api.settings)

    def names() -> list[str]:
        return [one["name"] for one in api.get(f"{V1}/devices", home="cabin")["items"]]

    for changed in ([], ["Lamp"], ["Lamp", "Stove"], ["Stove"], []):
        objects.take("cabin", Observed({"device": {name: {"name": name} for name in changed}}))
        assert names() == names() == changed


@pytest.mark.parametrize(
    "path",
    [
        "/events",
        "/events?entity=sensor.*",
        "/events/history?entity=sensor.kitchen",
        "/export/csv",
        "/ledger",
        "/gaps",
        "/quality/reports",
        "/mqtt/topics",
        "/devices",
    ],
)
def test_a_home_that_never_was_is_not_found_and_one_with_nothing_is_empty(api: ApiBench, path: str) -> None:
    joined = f"{V1}{path}{'&' if '?' in path else '?'}home="

    assert "nope" in api.get(f"{joined}nope", 404)["detail"]
    assert api.client.get(f"{joined}cabin").status_code == 200


def test_a_home_that_was_taken_out_of_the_settings_has_its_past(api: ApiBench) -> None:
    history = MapHistory(bootstrap.open_metadata(api.settings))
    history.add("sold", Version(1, 0, None, mapped=True), [])

    assert api.get(f"{V1}/events", home="sold")["items"] == []
    asked = 'home: "sold", entities: ["a.b"]'
    query = f'{{ states({asked}) {{ nodes {{ time }} }} history({asked}, window: "1h") {{ start }} }}'
    told = api.client.post("/graphql", json={"query": query}).json()
    assert told == {"data": {"states": {"nodes": []}, "history": []}}
