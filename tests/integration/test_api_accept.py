"""`Accept`: who takes nothing of what an operation gives is told so, before anything is done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.requests import HTTPConnection

from ingestor.api import accepting
from ingestor.export.form import Form
from ingestor.export.forms import FORMS
from tests.integration.api_bench import ApiBench, api_bench, state


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiBench]:
    with api_bench(tmp_path_factory.mktemp("accept")) as bench:
        bench.write(state(0, "light.a"))
        yield bench


@pytest.mark.parametrize(
    ("method", "path", "accept", "status"),
    [
        ("get", "/api/v1/events", None, 200),
        ("get", "/api/v1/events", "*/*", 200),
        ("get", "/api/v1/events", "application/*", 200),
        ("get", "/api/v1/events", "text/html, application/json;q=0.1", 200),
        ("get", "/api/v1/events", "application/json; charset=utf-8", 200),
        ("get", "/api/v1/events", "nonsense", 200),  # as if nothing had been said
        ("get", "/api/v1/events", "text/html", 406),
        ("get", "/api/v1/events", "application/json;q=0, */*", 406),
        ("get", "/api/v1/events", "text/*", 406),
        ("get", "/api/v1/events/home~nothing~1", "text/csv", 406),
        ("get", "/api/v1/events/stream?end_after_s=0", "application/json", 406),
        ("get", "/api/v1/export/csv", "text/csv", 200),
        ("get", "/api/v1/export/csv", "application/json", 406),
        ("get", "/api/v1/export/json", "application/json", 200),
        ("get", "/metrics", "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3", 200),
        ("get", "/metrics", "application/json", 200),
        ("get", "/livez", "text/plain", 200),
        ("get", "/api/health", "text/html", 200),  # a watcher looks at the status alone
        ("get", "/livez", "application/json", 200),
        ("get", "/", "text/html", 200),
        ("get", "/", "image/png", 406),
        ("put", "/api/config", "text/html", 406),
        ("delete", "/api/v1/session", "text/html", 204),  # there is nothing to be taken
    ],
)
def test_what_is_not_taken_is_not_given(api: ApiBench, method: str, path: str, accept: str | None, status: int) -> None:
    api.client.headers.pop("accept", None)
    body = {"retention_days": 30} if method == "put" else None

    told = api.client.request(method, path, headers={} if accept is None else {"Accept": accept}, json=body)

    assert told.status_code == status, told.text
    if status == 406:
        assert told.headers["content-type"] == "application/problem+json"
        assert told.json()["type"] == "urn:ha-ingestor:problem:not-acceptable"
    assert not (api.settings.data_dir / "ha-ingestor.toml").exists()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_without_a_form_in_the_address_accept_chooses_it(api: ApiBench, form: Form) -> None:
    asked = {"until": "2030-01-01T00:00:00Z"}
    headers = {"Accept": f"application/json;q=0.5, {form.media_type.partition(';')[0]}"}

    told = api.client.get("/api/v1/export", params=asked, headers=headers)

    named = api.client.get(f"/api/v1/export/{form.name}", params=asked, headers={"Accept": "*/*"})
    assert (told.status_code, told.headers["content-type"]) == (200, named.headers["content-type"])
    assert told.headers["content-disposition"].endswith(f'.{form.suffix}"')
    assert "Accept" in told.headers["vary"].split(", ")
    if form.name != "avro":  # which has a mark of its own in each file
        assert told.content == named.content


def test_without_any_preference_an_export_is_json(api: ApiBench) -> None:
    for accept in ("*/*", "image/png, application/*"):
        told = api.client.get("/api/v1/export", headers={"Accept": accept})
        assert told.headers["content-type"] == "application/json"
    assert api.client.get("/api/v1/export", headers={"Accept": "image/png"}).status_code == 406


def test_it_is_described_where_something_is_given(api: ApiBench) -> None:
    for path, methods in api.app.openapi()["paths"].items():
        for method, operation in methods.items():
            has_none = "204" in operation["responses"] or "health" in operation.get("tags", ())
            assert ("406" in operation["responses"]) == (not has_none), (method, path)


def test_of_a_header_without_end_only_its_beginning_is_kept() -> None:
    scope = {"type": "http", "headers": [(b"accept", b"text/html;x=" + b"y" * 60_000)]}

    assert len(accepting._accept(HTTPConnection(scope))) < 5_000
