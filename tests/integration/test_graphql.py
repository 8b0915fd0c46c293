"""GraphQL over HTTP, asked with a client that others wrote: what REST tells, nested, in pages, without N+1."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import graphql
import pytest
import requests

from ingestor import bootstrap, errors
from ingestor.api.graphql.events import given
from ingestor.api.graphql.limits import MAX_ALIASES, MAX_FIELDS, MAX_TOKENS
from ingestor.api.graphql.schema import sdl
from ingestor.api.means import Means
from ingestor.export.forms import FORMS
from tests.integration.api_bench import KEY, api_bench, served
from tests.integration.api_home import fill
from tests.integration.endless import ask_endlessly
from tests.integration.graphql_home import Graph, client_of, counted

DAY = 'since: "2026-11-20T00:00:00Z", until: "2026-11-23T00:00:00Z"'
EVENT = """fragment all on Event { time eventId kind eventType home series entityId domain area device deviceClass state
  value unit previousState available source contextId causeKind causeId more }"""


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    settings = {"api": {"key": KEY, "timeout_s": 300}}
    with api_bench(tmp_path_factory.mktemp("graphql"), settings) as bench, served(bench.app) as address:
        fill(bench)
        yield Graph(bench, address, client_of(address))


def snake(told: Any) -> Any:
    """Return an answer with the names that REST has."""
    if isinstance(told, list):
        return [snake(one) for one in told]
    if isinstance(told, dict):
        return {"".join(f"_{s.lower()}" if s.isupper() else s for s in name): snake(one) for name, one in told.items()}
    return told


@pytest.mark.parametrize(
    ("graph_filter", "params"),
    [
        ("", {}),
        (
            'filter: {entity: "sensor.*", area: ["Kitchen"]}, order: OLDEST',
            {"entity": "sensor.*", "area": "Kitchen", "order": "oldest"},
        ),
        ('filter: {type: "call_*"}', {"type": "call_*"}),
        ("filter: {kind: EVENT}", {"kind": "event"}),
        (
            'filter: {integration: ["mqtt"], until: "2026-11-21T03:00:00Z"}',
            {"integration": "mqtt", "until": "2026-11-21T03:00:00Z"},
        ),
        ('filter: {home: "home"}', {"home": "home"}),
    ],
)
def test_events_are_those_of_rest_page_by_page_with_the_same_cursors(
    graph: Graph, graph_filter: str, params: dict[str, Any]
) -> None:
    told: list[Any] = []
    after = None
    pages = 0
    while pages == 0 or after:
        arguments = ", ".join(filter(None, [graph_filter, "first: 25, after: $after"]))
        page = graph.ask(
            f"query Page($after: String) {{ events({arguments}) {{ edges {{ cursor node {{ ...all }} }} "
            f"pageInfo {{ hasNextPage endCursor hasPreviousPage }} }} }} {EVENT}",
            after=after,
        )["events"]
        assert page["pageInfo"]["hasPreviousPage"] == (after is not None)
        rest = graph.bench.get("/api/v1/events", limit=25, **params, **({"cursor": after} if after else {}))
        assert snake([edge["node"] for edge in page["edges"]]) == rest["items"]
        after = page["pageInfo"]["endCursor"] if page["pageInfo"]["hasNextPage"] else None
        assert after == rest["next"]
        told += page["edges"]
        pages += 1

    assert len({edge["cursor"] for edge in told}) == len(told)


def test_a_home_is_told_from_its_areas_down_to_the_newest_state(graph: Graph) -> None:
    told = graph.ask("""{ home { name areas(first: 11) { nodes { name devices(first: 30) { nodes { name area { id }
        entities(first: 6) { nodes { entityId domain integration series device { name } area { name }
            latest { state time } events(first: 2) { nodes { eventType } } } } } } } } } }""")

    rest = {kind: graph.bench.get(f"/api/v1/{kind}", limit=1000)["items"] for kind in ("areas", "devices", "entities")}
    areas = told["home"]["areas"]["nodes"]
    assert [one["name"] for one in areas] == [one["name"] for one in rest["areas"]]
    devices = [(area["name"], one["name"]) for area in areas for one in area["devices"]["nodes"]]
    names = {one["id"]: one["name"] for one in rest["areas"]}
    placed = [(names[one["data"]["area_id"]], one["name"]) for one in rest["devices"] if one["data"].get("area_id")]
    assert sorted(devices) == sorted(placed)
    bed = next(
        entity
        for area in areas
        for device in area["devices"]["nodes"]
        for entity in device["entities"]["nodes"]
        if entity["entityId"] == "light.bed_light"
    )
    assert bed == {
        "entityId": "light.bed_light",
        "domain": "light",
        "integration": "demo",
        "series": "light.bed_light",
        "device": {"name": "Bed Light"},
        "area": {"name": "Bedroom"},
        "latest": {"state": "on", "time": "2026-11-21T03:42:24.000000042Z"},
        "events": {"nodes": [{"eventType": "state_changed"}, {"eventType": "state_changed"}]},
    }


NESTED = """query Nested($areas: Int!) { areas(first: $areas) { nodes { name since relationships { around }
    events(first: 3) { nodes { eventId } } devices(first: 8) { nodes { name since events(first: 3) { nodes { eventId } }
    entities(first: 5) { nodes { series formerEntityIds device { name } area { name } latest { state }
    events(first: 3) { nodes { eventId } } history(window: "15m", since: "2026-11-21T02:00:00Z",
    until: "2026-11-21T04:00:00Z") { start mean count } } } } } } }
    automations(first: $areas) { nodes { executions(first: 2) { result } relationships { thing } } } }"""


def test_more_objects_are_no_more_questions(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    means: Means = graph.bench.app.state.means
    graph.ask(NESTED, areas=1)  # who asks first opens what is asked

    with counted(means, monkeypatch) as asked:
        told = graph.ask(NESTED, areas=11)

    areas = told["areas"]["nodes"]
    devices = [device for area in areas for device in area["devices"]["nodes"]]
    entities = [entity for device in devices for entity in device["entities"]["nodes"]]
    assert len(areas) + len(devices) + len(entities) > 80
    # Which of them wait for the same answer differs a little; one of each would be hundreds.
    assert asked["store"] < 20
    assert asked["database"] < 60


def test_the_events_of_what_stands_beside_each_other_are_those_of_each_alone(graph: Graph) -> None:
    told = graph.ask(
        "{ areas(first: 50) { nodes { id events(first: 4) { nodes { eventId } pageInfo { endCursor } } } } }"
    )

    for area in told["areas"]["nodes"]:
        alone = graph.bench.get(f"/api/v1/areas/{area['id']}/events", limit=4)
        assert [one["eventId"] for one in area["events"]["nodes"]] == [one["event_id"] for one in alone["items"]]
    bedroom = next(one for one in told["areas"]["nodes"] if one["id"] == "bedroom")["events"]
    following = graph.ask(
        'query ($after: String!) { area(id: "bedroom") { events(first: 4, after: $after) { nodes { eventId } } } }',
        after=bedroom["pageInfo"]["endCursor"],
    )
    all_of_it = graph.bench.get("/api/v1/areas/bedroom/events", limit=8)["items"]
    seen = [one["eventId"] for one in bedroom["nodes"] + following["area"]["events"]["nodes"]]
    assert seen == [one["event_id"] for one in all_of_it]
    assert len(seen) == 8


def test_the_past_by_windows_is_that_of_rest(graph: Graph) -> None:
    span = 'window: "15m", since: "2026-11-21T02:00:00Z", until: "2026-11-21T04:00:00Z"'
    how = "aggregates: [MEAN, TIME_WEIGHTED_MEAN], fill: PREVIOUS"

    told = graph.ask(
        f'{{ history(entities: ["sensor.kitchen"], {span}, {how}) {{ start mean timeWeightedMean }} states('
        f'entities: ["sensor.kitchen"], {DAY}, first: 1000) {{ nodes {{ time state value unit entityId series }} }} }}'
    )

    params: dict[str, Any] = {
        "entity": "sensor.kitchen",
        "since": "2026-11-21T02:00:00Z",
        "until": "2026-11-21T04:00:00Z",
    }
    asked: dict[str, Any] = {"window": "15m", "aggregate": ["mean", "time_weighted_mean"], "fill": "previous"}
    windows = graph.bench.get("/api/v1/events/history", **params, **asked)["items"]
    assert snake(told["history"]) == [
        {name: one[name] for name in ("start", "mean", "time_weighted_mean")} for one in windows
    ]
    states = graph.bench.get("/api/v1/events/history", **params)["items"]
    assert snake(told["states"]["nodes"]) == states
    assert len(states) == 60


COUNTS = "received written duplicate rejected filtered inFlight lost recovered balances"
GAP = "gapId home listener reason start end state ended why eventTypes lost counts entities"
CAUSE = "cause home reason subject pieces seen bytes firstSeen lastSeen exampleId example"
TOLD = [
    (f"ledger({DAY}) {{ rows {{ hour home source {COUNTS} }} total {{ {COUNTS} }} verdict newestMissing }}", "ledger"),
    (f"gaps(first: 5) {{ waiting items {{ {GAP} }} }}", "gaps"),
    ('gap(gapId: "home:websocket:1") { gapId start }', "gaps/home:websocket:1"),
    (f"quarantine {{ pieces bytes evicted items {{ {CAUSE} }} }}", "quarantine"),
    ("quarantinePieces(first: 2) { id cause reason raw diagnosis }", "quarantine/pieces items"),
    ("quarantinePiece(id: 1) { id raw seen }", "quarantine/pieces/1"),
    (f"qualityScores({DAY}, scope: AREA) {{ judgedUntil items {{ scope name score parts }} }}", "quality/metrics"),
    (f"qualityProblems({DAY}) {{ kind scope subject since until count evidence }}", "quality/errors items"),
    ("qualityRules { number rule severity where why }", "quality/validation items"),
    ("qualityReports { id home period start end made figures }", "quality/reports items"),
    ('qualityReport(id: "home-weekly-20261121T0000")', "quality/reports/home-weekly-20261121T0000"),
    ('impact(thing: "integration:mqtt") { failed dark affected seenLostWithIt }', "relationships/impact"),
    ('uses(thing: "light.bed_light") { thing safeToDelete uses hidden undecided }', "relationships/uses"),
    ("cycles", "relationships/cycles items"),
    ('path(start: "light.bed_light", end: "automation.chain_a") { connected edges }', "relationships/path"),
    ("automationDependencies { links order shared alwaysFail neverRan neverSeen }", "automations/dependencies"),
]


@pytest.mark.parametrize(("query", "where"), TOLD)
def test_what_rest_tells_the_graph_tells(graph: Graph, query: str, where: str) -> None:
    path, _, part = where.partition(" ")
    params: dict[str, Any] = {"thing": "integration:mqtt"} if path.endswith("impact") else {}
    params |= {"thing": "light.bed_light"} if path.endswith("uses") else {}
    params |= {"from": "light.bed_light", "to": "automation.chain_a"} if path.endswith("path") else {}
    params |= {"since": "2026-11-20T00:00:00Z", "until": "2026-11-23T00:00:00Z"} if DAY in query else {}
    params |= {"scope": "area"} if "AREA" in query else {}
    rest = graph.bench.get(f"/api/v1/{path}", **params)
    rest = rest[part] if part else rest

    (told,) = graph.ask(f"{{ {query} }}").values()

    assert told
    assert_told(told, rest)


def assert_told(told: Any, rest: Any) -> None:
    """Hold what was asked for against REST's answer; in what is one JSON value both have the same names."""
    if isinstance(told, list):
        assert len(told) == len(rest)
        for one, other in zip(told, rest, strict=True):
            assert_told(one, other)
    elif isinstance(told, dict):
        for name, one in told.items():
            assert_told(one, rest[name if name in rest else next(iter(snake({name: None})))])
    else:
        assert told == rest


def test_runs_and_single_things_are_told_as_by_rest(graph: Graph) -> None:
    name = "automation.always_fails_no_such_service"

    told = graph.ask(f"""{{ automation(id: "{name}") {{ name entityId since executions(first: 2, result: "error") {{
        runId entityId started finished result error trigger lastStep contextId }} }}
        entity(id: "light.bed_light") {{ id series formerEntityIds relationships {{ thing related around }} since }}
        device(id: "b7bb3d9cea41e0280f8531fddf80a534") {{ name manufacturer model }} }}""")

    rest = graph.bench.get(f"/api/v1/automations/{name}/executions", limit=2, result="error")["items"]
    assert snake(told["automation"]["executions"]) == rest != []
    entity = graph.bench.get("/api/v1/entities/light.bed_light")
    assert told["entity"]["id"] == entity["id"]
    assert (told["entity"]["since"], told["entity"]["series"]) == (entity["since"], entity["series"])
    assert_told(told["entity"]["relationships"], graph.bench.get("/api/v1/entities/light.bed_light/relationships"))


def test_the_rows_of_graphql_rest_and_an_export_are_the_same(graph: Graph) -> None:
    told = graph.ask(
        f'{{ events(filter: {{area: ["Kitchen"]}}, order: OLDEST, first: 1000) {{ nodes {{ ...all }} }} }} {EVENT}'
    )
    rest = graph.bench.get("/api/v1/events", area="Kitchen", order="oldest", limit=1000)["items"]
    exported = graph.bench.get("/api/v1/export/json", area="Kitchen")

    rows = snake(told["events"]["nodes"])
    assert rows == rest
    assert [{name: one for name, one in row.items() if one not in (None, {})} for row in rows] == exported
    assert len(exported) == 60
    assert "json" in FORMS


LISTS = "nodes { devices(first: 100) { nodes { entities(first: 100) { nodes { name } } } } }"
CLOSE = " } } }"
BACKWARDS = 'filter: {since: "2026-01-02T00:00:00Z", until: "2026-01-01T00:00:00Z"}'
AROUND = "device { area { devices { nodes { "

# -- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ events { nodes { nothing } } }", "invalid"),
        ("{ events { ", "invalid"),
        ('{ events(filter: {since: "yesterday"}) { nodes { time } } }', "invalid"),
        ('{ events(filter: {domain: ["\\u0000"]}) { nodes { time } } }', "invalid"),
        ('{ events(after: "nonsense") { nodes { time } } }', "unanswerable"),
        ("{ events(first: 1001) { nodes { time } } }", "unanswerable"),
        ("{ events(first: 0) { nodes { time } } }", "unanswerable"),
        (f"{{ events({BACKWARDS}) {{ nodes {{ time }} }} }}", "unanswerable"),
        ('{ areas(home: "nobody") { nodes { name } } }', "not-found"),
        ('{ events(filter: {home: "nobody"}) { nodes { time } } }', "not-found"),
        ('{ ledger(home: "nobody") { verdict } }', "not-found"),
        ('{ entity(id: "light.nobody") { name } }', "not-found"),
        ('{ event(eventId: "nonsense") { time } }', "not-found"),
        ('{ history(entities: ["a.b"], window: "1s", since: "2020-01-01T00:00:00Z") { start } }', "unanswerable"),
        ('{ history(entities: ["a.b"], window: "soon") { start } }', "invalid"),
        ("{ " + " ".join(f"a{n}: homes {{ name }}" for n in range(MAX_ALIASES + 1)) + " }", "too-long"),
        ("{ homes { " + "name " * MAX_FIELDS + "} }", "too-long"),
        ("{ homes { " + "name " * MAX_TOKENS + "} }", "invalid"),
        (f"{{ areas {{ {LISTS} }} }}", "too-costly"),
        (f"query ($n: Int = 1000) {{ areas(first: $n) {{ {LISTS.replace('100', '$n')} }} }}", "too-costly"),
        ("{ entities { nodes { " + AROUND * 4 + "name" + 4 * " } } } }" + CLOSE, "too-deep"),
        ("{" * 3900, "invalid"),
        (f"{{ events(first: {'9' * 5000}) {{ nodes {{ time }} }} }}", "invalid"),
        (f"query ($n: Int = {'9' * 5000}) {{ events(first: $n) {{ nodes {{ time }} }} }}", "invalid"),
        ("{ events(after: " + "[" * 3900 + ") { nodes { time } } }", "invalid"),
        ("{ " + " ".join(f"a{n}: __schema {{ types {{ name }} }}" for n in range(21)) + " }", "too-costly"),
        ("{ __schema { types { " + "fields { type { " * 4 + "name" + " } }" * 4 + CLOSE, "invalid"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_said_with_a_code(graph: Graph, query: str, code: str) -> None:
    fault = graph.fault(query)

    assert fault["extensions"]["code"] == code, fault
    assert fault["extensions"]["requestId"]


def test_a_subscription_by_post_is_told_that_it_needs_a_websocket(
    graph: Graph, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = graph.fault("subscription { live { ... on LiveReady { cursor } } }")

    assert fault["extensions"]["code"] == "invalid"
    assert fault["extensions"]["requestId"]
    assert "WebSocket" in fault["message"]
    assert "Traceback" not in caplog.text + "".join(capsys.readouterr())


def test_an_operation_is_measured_by_its_own_variables_whatever_another_calls_the_same(graph: Graph) -> None:
    lists = "devices(first: $n) { nodes { name entities(first: $n) { nodes { entityId name } } } }"
    one, two = "query One($n: Int! = 1) { homes { name } }", f"query Two($n: Int! = 1000) {{ {lists} }}"
    shared = (
        f"query One($n: Int! = 1) {{ ...f }} query Two($n: Int! = 1000) {{ ...f }} fragment f on Query {{ {lists} }}"
    )

    for asked in (f"{one} {two}", f"{two} {one}", shared):
        answer = requests.post(
            f"{graph.address}/graphql",
            json={"query": asked, "operationName": "Two"},
            headers={"X-API-Key": KEY},
            timeout=60,
        )
        assert [fault["extensions"]["code"] for fault in answer.json()["errors"]] == ["too-costly"]


def test_which_of_two_operations_is_meant_must_be_said(graph: Graph) -> None:
    def ask(**named: str) -> dict[str, Any]:
        asked = {"query": "query One { homes { name } } query Two { gaps { waiting } }", **named}
        answer = requests.post(f"{graph.address}/graphql", json=asked, headers={"X-API-Key": KEY}, timeout=60)
        found: dict[str, Any] = answer.json()
        return found

    nobody_knows = ask()

    assert nobody_knows["data"] is None
    assert nobody_knows["errors"][0]["extensions"]["code"] == "invalid"
    assert "operationName" in nobody_knows["errors"][0]["message"]
    assert [list(ask(operationName=name)["data"]) for name in ("One", "Two")] == [["homes"], ["gaps"]]


def test_fragments_that_name_each_other_again_and_again_are_looked_at_once(graph: Graph) -> None:
    named = "".join(f"fragment f{n} on Home {{ ...f{n + 1} ...f{n + 1} }} " for n in range(100))

    # Gone through as often as they are named, it would not end in our time.
    assert graph.code(f"{{ homes {{ ...f0 }} }} {named} fragment f100 on Home {{ name }}") == "too-costly"
    looped = graph.fault("{ homes { ...a } } fragment a on Home { ...b } fragment b on Home { name ...a }")
    assert looped["extensions"]["code"] == "invalid"


def test_a_part_that_is_not_there_leaves_the_rest(graph: Graph) -> None:
    answer = requests.post(
        f"{graph.address}/api/v1/graphql",
        json={"query": '{ entity(id: "light.nobody") { name } homes { name } }'},
        headers={"X-API-Key": KEY},
        timeout=60,
    ).json()

    assert answer["data"] == {"entity": None, "homes": [{"name": "home"}]}
    assert [(one["path"], one["extensions"]["code"]) for one in answer["errors"]] == [(["entity"], "not-found")]


ASKED = {"query": "{ homes { name } }"}
JSON = {"X-API-Key": KEY, "Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "options", "status"),
    [
        ("POST", {"json": ASKED, "headers": {}}, 401),
        ("POST", {"json": ASKED, "headers": {**JSON, "Origin": "https://else.example"}}, 403),
        ("POST", {"data": ASKED["query"], "headers": {**JSON, "Content-Type": "application/graphql"}}, 400),
        ("POST", {"data": "{", "headers": JSON}, 400),
        ("POST", {"json": [], "headers": JSON}, 400),
        ("POST", {"json": {"query": 7}, "headers": JSON}, 400),
        ("GET", {"params": ASKED, "headers": JSON}, 405),
    ],
)
def test_what_is_no_question_is_a_problem(graph: Graph, method: str, options: dict[str, Any], status: int) -> None:
    answer = requests.request(method, f"{graph.address}/graphql", timeout=60, **options)

    assert (answer.status_code, answer.json()["status"]) == (status, status)


def in_form(graph: Graph, accept: str, query: str) -> requests.Response:
    headers = {**JSON, "Accept": accept}
    return requests.post(f"{graph.address}/graphql", json={"query": query}, headers=headers, timeout=60)


LIKED = "application/graphql-response+json"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (f"{LIKED}, application/json;q=0.9", LIKED),
        (f"{LIKED};charset=utf-8", LIKED),
        (f"{LIKED}, application/json, text/event-stream, multipart/mixed", "application/json"),
        ("*/*", "application/json"),
        ("text/event-stream", "application/json"),
        (f"{LIKED};q=0.5, */*", "application/json"),
    ],
)
def test_an_answer_has_the_form_that_is_liked_best(graph: Graph, accept: str, media_type: str) -> None:
    answer = in_form(graph, accept, "{ homes { name } }")

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
    assert answer.json() == {"data": {"homes": [{"name": "home"}]}}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("{ homes { nothing } }", 422),
        ("{ homes", 422),
        ("subscription { live { ... on LiveReady { cursor } } }", 422),
        ("{ entities { nodes { " + AROUND * 4 + "name" + 4 * " } } } }" + CLOSE, 400),
    ],
)
def test_what_is_not_begun_has_no_data_in_the_form_of_graphql(graph: Graph, query: str, status: int) -> None:
    answer = in_form(graph, LIKED, query)

    assert (answer.status_code, answer.headers["Content-Type"]) == (status, LIKED)
    assert set(answer.json()) == {"errors"}
    usual = in_form(graph, "application/json", query)
    assert (usual.status_code, usual.json()["data"]) == (200, None)


def test_what_was_begun_keeps_its_data_in_the_form_of_graphql(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    part = in_form(graph, LIKED, '{ entity(id: "light.nobody") { name } homes { name } }')
    assert (part.status_code, part.json()["data"]["homes"]) == (200, [{"name": "home"}])

    none = in_form(graph, LIKED, '{ entity(id: "light.nobody") { name } }')
    assert (none.status_code, none.json()["data"]) == (200, {"entity": None})

    release = threading.Event()
    monkeypatch.setattr("ingestor.api.graphql.quality.rules_of", lambda *_: release.wait(60))
    try:
        with hurried(graph, monkeypatch):
            late = in_form(graph, LIKED, "{ qualityRules { rule } }")
    finally:
        release.set()
    assert late.json()["errors"][0]["extensions"]["code"] == "took-too-long"
    assert (late.status_code, "data" in late.json()) == (503, False)


def test_what_nobody_foresaw_is_hidden_and_other_failures_are_named(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(error: Exception) -> Any:
        def raise_it(*_: Any, **__: Any) -> Any:
            raise error

        return raise_it

    monkeypatch.setattr(bootstrap, "open_gaps", fail(RuntimeError("a secret")))
    fault = graph.fault("{ gaps { waiting } }")
    assert fault["extensions"]["code"] == "failed"
    assert "secret" not in str(fault)

    monkeypatch.setattr(bootstrap, "open_gaps", fail(errors.StoreUnavailable("the disk is away")))
    assert graph.fault("{ gaps { waiting } }")["extensions"]["code"] == "unavailable"


def test_a_question_has_an_end_and_holds_up_nobody_else(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr("ingestor.api.graphql.quality.rules_of", lambda *_: release.wait(60))
    try:
        with hurried(graph, monkeypatch):
            assert graph.code("{ qualityRules { rule } }") == "took-too-long"
        assert graph.ask("{ homes { name } }") == {"homes": [{"name": "home"}]}
    finally:
        release.set()


def test_the_stores_question_ends_with_the_answer(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    question = ask_endlessly(monkeypatch)

    with hurried(graph, monkeypatch):
        while not question.begun.is_set():  # on a busy machine the time may be over before it was asked
            assert graph.code("{ events(first: 1) { nodes { time } } }") == "took-too-long"

    # Long before `api.timeout_s`, which would end it, too.
    assert question.ended.wait(60)


def test_an_answer_is_put_together_beside_the_loop_that_serves(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def noted(asked: object) -> dict[str, Any]:
        threads.append(threading.current_thread().name)
        return given(asked)

    monkeypatch.setattr("ingestor.api.graphql.events.given", noted)

    assert graph.ask("{ events(first: 1) { nodes { time } } }")["events"]["nodes"]
    assert threads == ["graphql"]


@contextmanager
def hurried(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give answers half a second."""
    with monkeypatch.context() as patch:
        patch.setattr(graph.bench.app.state.graphql.open().graph, "_timeout_s", 0.5)
        yield


def test_the_schema_tells_itself_to_who_has_the_key(graph: Graph) -> None:
    told = graph.ask(graphql.get_introspection_query())

    assert "EventConnection" in {one["name"] for one in told["__schema"]["types"]}


def test_graphql_can_be_switched_off(tmp_path_factory: pytest.TempPathFactory) -> None:
    with api_bench(tmp_path_factory.mktemp("off"), {"graphql": {"enabled": False}}) as bench:
        answer = bench.client.post("/graphql", json={"query": "{ homes { name } }"})

    assert answer.status_code == 404
    assert "graphql.enabled" in answer.json()["detail"]


DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "how-to" / "use-graphql.md"


@pytest.mark.parametrize("query", re.findall(r"```graphql\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL))
def test_the_examples_of_the_documentation_are_answered(graph: Graph, query: str) -> None:
    if query.startswith("subscription"):  # it has no end: that it could be heard is all that is asked here
        assert graphql.validate(graphql.build_schema(sdl()), graphql.parse(query)) == []
        return

    # The pages name things of the demo home, which a newcomer has.
    for in_demo, here in (
        ("light.bedroom_light", "light.bed_light"),
        ("sensor.kitchen_air_temperature", "sensor.kitchen"),
    ):
        query = query.replace(in_demo, here)

    told = graph.ask(query)

    assert all(told.values())
