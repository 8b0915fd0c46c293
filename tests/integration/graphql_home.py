"""GraphQL as a client of others asks it, on a home that has some of everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gql
import pytest
import requests
import sqlalchemy as sa
from gql.transport.requests import RequestsHTTPTransport

from ingestor.api.means import Means
from ingestor.storage.embedded import EmbeddedStore
from tests.integration.api_bench import KEY, ApiBench


@dataclass
class Graph:
    """The API, where it is served, and a client of its GraphQL."""

    bench: ApiBench
    address: str
    client: gql.Client

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.client.execute(gql.GraphQLRequest(query, variable_values=variables))
        return found

    def code(self, query: str, **variables: Any) -> str:
        """Return the code of the failure that a question ends with."""
        return str(self.fault(query, **variables)["extensions"]["code"])

    def fault(self, query: str, **variables: Any) -> dict[str, Any]:
        # As text, since a client looks at it first.
        asked = {"query": query, "variables": variables}
        answer = requests.post(f"{self.address}/graphql", json=asked, headers={"X-API-Key": KEY}, timeout=60)
        fault: dict[str, Any] = answer.json()["errors"][0]
        return fault


def client_of(address: str, path: str = "/graphql", key: str = KEY) -> gql.Client:
    transport = RequestsHTTPTransport(address + path, headers={"Authorization": f"Bearer {key}"}, timeout=60)
    return gql.Client(transport=transport, serialize_variables=False)


@contextmanager
def counted(means: Means, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count what the store and the metadata database are asked meanwhile."""
    found: Counter[str] = Counter()
    rows = EmbeddedStore._rows

    def count_rows(store: EmbeddedStore, *asked: Any) -> Any:
        found["store"] += 1
        return rows(store, *asked)

    def count_statement(*_: Any) -> None:
        found["database"] += 1

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedStore, "_rows", count_rows)
        sa.event.listen(means.metadata(), "before_cursor_execute", count_statement)
        try:
            yield found
        finally:
            sa.event.remove(means.metadata(), "before_cursor_execute", count_statement)
