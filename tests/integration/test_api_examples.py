"""The example of each endpoint, as the reference shows it: it is answered, and as the description says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from ingestor import bootstrap
from ingestor.api.examples import EXAMPLES
from ingestor.api.reference import api_page
from tests.integration.api_bench import KEY, ApiBench, api_app, api_bench
from tests.integration.api_home import fill
from tests.servers_brokers import ValkeyServer

DESCRIBED = api_app(Path("unused")).openapi()
OPERATIONS = [
    (method, path)
    for path, methods in DESCRIBED["paths"].items()
    for method in methods
    if method in ("get", "put", "post", "patch", "delete")
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, valkey_server: ValkeyServer) -> Iterator[ApiBench]:
    # A database of its own: what an example changes must not stop the workers of other tests.
    state = valkey_server.url.removesuffix("/0") + "/7"
    with api_bench(tmp_path_factory.mktemp("api"), {"state": {"url": state}}) as bench:
        fill(bench)
        seen = {"home": "home", "listener": "mqtt", "topics": [("zigbee2mqtt/lamp", "zigbee2mqtt", 3, 10**15)]}
        bootstrap.open_topics_board(bench.settings).tell("home:mqtt", seen)
        enrich = {"wanted": 1, "least": 1, "most": 1, "running": 1}
        entry = {"host": "attic", "pools": {"enrich": enrich}}
        bootstrap.open_status_board(bench.settings).put("pools", "attic", entry, last=True)
        yield bench


def test_every_endpoint_has_an_example_and_every_example_an_endpoint() -> None:
    assert set(OPERATIONS) == set(EXAMPLES)


def test_the_reference_has_every_endpoint() -> None:
    page = api_page(DESCRIBED, "")

    assert [one for one in OPERATIONS if f"### {one[0].upper()} {one[1]}\n" not in page] == []


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_an_example_is_answered_as_described(api: ApiBench, method: str, path: str) -> None:
    operation: dict[str, Any] = DESCRIBED["paths"][path][method]
    example = operation["x-example"]

    answer = api.client.request(
        method,
        example["target"],
        content=example.get("body", "").replace("THE KEY", KEY),
        headers={"Content-Type": "application/json"},
    )

    assert answer.is_success, answer.text
    told = operation["responses"][str(answer.status_code)].get("content", {})
    kind = answer.headers.get("content-type", "").partition(";")[0]
    assert kind in told or not (told or answer.content)
    if kind == "application/json":
        schema = {**told[kind]["schema"], "components": DESCRIBED["components"]}
        jsonschema_rs.validator_for(schema).validate(answer.json())
        assert not is_empty(answer.json()), "an example that finds nothing shows nothing"


def is_empty(found: Any) -> bool:
    return not found or (isinstance(found, dict) and "items" in found and not found["items"])
