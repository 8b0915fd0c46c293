"""The API keeps to its own description: schemathesis asks whatever that allows and what it does not, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig

from ingestor import bootstrap
from tests.integration.api_bench import KEY, api_app, api_bench, served
from tests.integration.api_home import fill
from tests.servers_brokers import ValkeyServer

_CONFIG: dict[str, Any] = {
    "headers": {"Authorization": f"Bearer {KEY}"},
    "request-timeout": 120,
    "generation": {"deterministic": True, "database": "none"},
    # 400, 409, 412: each part is in order, but not all of them together, or not as things stand.
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "404", "409", "412"]}},
}
described = schemathesis.openapi.from_dict(
    api_app(Path("unused")).openapi(), config=SchemathesisConfig.from_dict(_CONFIG)
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, valkey_server: ValkeyServer) -> Iterator[str]:
    # A database of its own: what is changed here must not stop the workers of other tests.
    state = {"state": {"url": valkey_server.url.removesuffix("/0") + "/6"}}
    with api_bench(tmp_path_factory.mktemp("api"), state) as bench, served(bench.app) as address:
        fill(bench)
        bootstrap.open_status_board(bench.settings).put("pools", "attic", {"host": "attic"}, last=True)
        assert bench.get("/openapi.json") == described.raw_schema
        yield address


# A stream has no end of its own, so none of its answers could be looked at: test_live_stream reads it.
@described.exclude(path="/api/v1/events/stream").parametrize()
@hypothesis.settings(max_examples=20, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_every_answer_is_as_described(address: str, case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(base_url=address)
