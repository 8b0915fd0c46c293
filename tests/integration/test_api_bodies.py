"""What a body has to be, told the same by every operation that takes one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from ingestor.api.v1.socket_messages import COMMANDS
from tests.integration.api_bench import ApiBench, api_bench

JSON = {"Content-Type": "application/json"}
MALFORMED = "urn:ha-ingestor:problem:malformed-json"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiBench]:
    with api_bench(tmp_path_factory.mktemp("bodies")) as bench:
        yield bench


def takes_json(api: ApiBench) -> Iterator[tuple[str, str]]:
    """Yield every operation that takes a body in JSON, by the API's description; and GraphQL."""
    for path, methods in api.app.openapi()["paths"].items():
        for method, operation in methods.items():
            if "application/json" in operation.get("requestBody", {}).get("content", {}):
                assert "400" in operation["responses"], path
                yield method, re.sub(r"\{[^}]*\}", "x", path)
    yield "post", "/graphql"


@pytest.mark.parametrize("body", [b"{", b'{"key": \xff}', b"[" * 100_000])
def test_what_is_no_json_is_one_problem_everywhere(api: ApiBench, body: bytes) -> None:
    operations = list(takes_json(api))
    assert len(operations) > 5

    for method, path in operations:
        told = api.client.request(method, path, content=body, headers=JSON)
        assert (told.status_code, told.json()["type"]) == (400, MALFORMED), (path, told.text)
        assert told.headers["content-type"] == "application/problem+json"


def test_json_of_another_form_is_not_valid_and_says_where(api: ApiBench) -> None:
    told = api.client.put("/api/config", json={"retention_days": "many"})

    assert (told.status_code, told.json()["type"]) == (422, "urn:ha-ingestor:problem:invalid")
    assert told.json()["errors"][0]["name"].startswith("retention_days")


def test_broken_json_is_told_with_its_place_and_without_what_stands_there(api: ApiBench) -> None:
    told = api.client.put("/api/config", content=b'{"ha_token": "secret" "', headers=JSON).json()

    assert "at character 22" in told["detail"]
    assert "secret" not in str(told)


@pytest.mark.parametrize("body", [b"null", b"7", b"true", b'"{}"', b"[]", b"[null]"])
def test_what_is_no_object_is_no_question_in_graphql(api: ApiBench, body: bytes) -> None:
    told = api.client.post("/graphql", content=body, headers=JSON)

    assert (told.status_code, told.json()["type"]) == (400, "urn:ha-ingestor:problem:invalid")


@pytest.mark.parametrize("body", [b'{"key": "\\ud800"}', b'{"key": NaN}', b'{"key": -1e999}'])
def test_what_json_cannot_say_but_python_reads_is_malformed_nowhere(api: ApiBench, body: bytes) -> None:
    for method, path in takes_json(api):
        told = api.client.request(method, path, content=body, headers=JSON)
        assert told.status_code in (401, 404, 422), (path, told.text)
        assert told.json()["type"] != MALFORMED
    assert told.status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/exports", {"format": "csv", "limit": True}),
        ("POST", "/api/v1/webhooks", {"url": "https://example.org/", "batch": True}),
        ("POST", "/api/v1/webhooks", {"url": "https://example.org/", "batch_wait_s": "1"}),
        ("PATCH", "/api/v1/webhooks/x", {"enabled": "no"}),
        ("PATCH", "/api/v1/webhooks/x", {"late": 1}),
        ("PUT", "/api/workers/enrich", {"nodes": True}),
        ("PUT", "/api/config", {"retention_days": True}),
    ],
)
def test_a_number_is_a_number_and_yes_is_true(api: ApiBench, method: str, path: str, body: dict[str, Any]) -> None:
    told = api.client.request(method, path, json=body)

    assert (told.status_code, told.json()["type"]) == (422, "urn:ha-ingestor:problem:invalid")


@pytest.mark.parametrize("what", ['"window": true', '"max_per_s": "5"', '"sample": true'])
def test_so_it_is_over_the_websocket(what: str) -> None:
    with pytest.raises(ValidationError):
        COMMANDS.validate_json(f'{{"type": "subscribe", "id": "a", {what}}}')
    COMMANDS.validate_json('{"type": "subscribe", "id": "a", "window": 5.0, "max_per_s": 5, "sample": 1}')
