"""HEAD over HTTP: what GET answers, without the body."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from ingestor.export.forms import FORMS
from tests.integration.api_bench import KEY, ApiBench, api_bench, served, state
from tests.servers import wait_until

ASKED = {"X-API-Key": KEY, "Accept-Encoding": "identity"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiBench]:
    with api_bench(tmp_path_factory.mktemp("heads")) as bench:
        for start in range(0, 4000, 1000):
            bench.write(*(state(start + second, "light.a", f"{second}") for second in range(1000)))
        yield bench


@pytest.fixture(scope="module")
def address(api: ApiBench) -> Iterator[str]:
    with served(api.app) as found:
        yield found


def test_every_get_without_parameters_has_a_head_with_its_headers(api: ApiBench, address: str) -> None:
    paths = [path for path, methods in api.app.openapi()["paths"].items() if "get" in methods and "{" not in path]
    assert len(paths) > 20

    for path in ("/", "/asyncapi.json", "/openapi.json", *paths):
        if path == "/api/v1/events/stream":
            continue
        read = requests.get(address + path, headers=ASKED, timeout=60)
        head = requests.head(address + path, headers=ASKED, timeout=60)
        assert (head.status_code, head.content) == (read.status_code, b""), path
        changing = {
            "date",
            "x-request-id",
            "etag",
            "content-length",
            "content-disposition",
        }  # of what changes by itself
        assert {name.lower() for name in head.headers} == {name.lower() for name in read.headers}, path
        assert {name: value for name, value in head.headers.items() if name.lower() not in changing} == {
            name: value for name, value in read.headers.items() if name.lower() not in changing
        }, path


def test_the_head_has_length_and_mark_of_what_would_be_read(address: str) -> None:
    url = f"{address}/api/v1/events?limit=3"
    read, head = (requests.request(method, url, headers=ASKED, timeout=60) for method in ("GET", "HEAD"))

    assert int(head.headers["content-length"]) == len(read.content)
    assert head.headers["etag"] == read.headers["etag"]
    assert head.headers["link"] == read.headers["link"]
    known = requests.head(url, headers={**ASKED, "If-None-Match": head.headers["etag"]}, timeout=60)
    assert known.status_code == 304


@pytest.mark.parametrize("form", FORMS)
def test_the_head_of_a_stream_of_events_ends_its_reading(api: ApiBench, address: str, form: str) -> None:
    with requests.Session() as session:  # on one connection: the next answer is whole
        head = session.head(f"{address}/api/v1/export/{form}", headers=ASKED, timeout=60)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == FORMS[form].media_type
        assert session.get(f"{address}/livez", headers=ASKED, timeout=60).text == "ok\n"
    turns = api.app.state.means._stream_turns
    wait_until(lambda: turns._value == 4, timeout_s=60, what="the end of its reading")


def test_what_has_no_head_says_so(address: str) -> None:
    for path, status, allowed in (
        ("/api/v1/events/stream", 405, "GET"),
        ("/api/v1/tickets", 405, "POST"),
        ("/api/v1/nothing", 404, None),
        ("/api/v1/events?limit=0", 422, None),
    ):
        told = requests.head(address + path, headers=ASKED, timeout=60)
        assert (told.status_code, told.headers.get("allow"), told.content) == (status, allowed, b"")
    assert requests.head(f"{address}/api/v1/events", timeout=60).status_code == 401
    posted = requests.post(f"{address}/api/v1/events", headers=ASKED, timeout=60)
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")
