"""Settings that are changed over HTTP: what is shown can be sent back, and of two who change at once one is told so."""

from __future__ import annotations

import fcntl
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ingestor.settings_writing import SettingsFile
from tests.integration.api_bench import ApiBench, api_bench

TOKEN = "a-long-secret-token"
URL = "http://user:secretpass@ha.local:8123"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiBench]:
    with api_bench(tmp_path) as bench:
        yield bench


def put(api: ApiBench, status: int = 200, **change: Any) -> Any:
    answer = api.client.put("/api/config", json=change)
    assert answer.status_code == status, answer.text
    return answer.json()


def kept(api: ApiBench) -> dict[str, Any]:
    return tomllib.loads((api.settings.data_dir / "ha-ingestor.toml").read_text())


def test_what_comes_back_as_it_is_shown_stays_as_it_is(api: ApiBench) -> None:
    put(api, ha_url=URL, ha_token=TOKEN, weather_api_key="0123456789abcdef", weather_location="52.520008,-0.000012345")
    shown = api.get("/api/config")
    before = kept(api)

    again = put(
        api,
        ha_url=shown["ha_url"],
        ha_token=shown["ha_token_masked"],
        weather_api_key=shown["weather_api_key_masked"],
        weather_location=shown["weather_location"],
        weather_cache_minutes=30,
    )

    assert kept(api) == before | {"weather": before["weather"] | {"cache_minutes": 30}}
    assert again["changes"] == api.get("/api/config")["changes"]
    assert again["weather_location"] == "52.520008,-0.000012345"


def test_the_password_of_the_address_is_shown_to_nobody(api: ApiBench) -> None:
    changed = put(api, ha_url=URL)

    assert changed["ha_url"] == "http://user:****@ha.local:8123"
    assert "secretpass" not in json.dumps([changed, api.get("/api/config")])


def test_a_mask_of_something_else_is_no_secret(api: ApiBench) -> None:
    put(api, ha_url=URL, ha_token=TOKEN)
    before = kept(api)

    told = [
        put(api, 400, ha_token="****uvwx"),
        put(api, 400, ha_token="****"),
        put(api, 400, weather_api_key="****abcd"),
        put(api, 400, ha_url="http://user:****@elsewhere:8123"),
    ]

    assert all("leave it out" in one["detail"] for one in told)
    assert kept(api) == before


@pytest.mark.parametrize("name", ["ha_token", "weather_api_key"])
def test_a_secret_that_cannot_be_one_is_refused_and_not_told(api: ApiBench, name: str) -> None:
    for text in (" ", "a\nb", "a token", "a\x00b", "schlüssel"):
        told = put(api, 400, **{name: text})

        assert "no token has" in told["detail"]
        assert repr(text) not in told["detail"]
    assert not (api.settings.data_dir / "ha-ingestor.toml").exists()


PLACES = {
    "52.520008,13.404954": "52.520008,13.404954",
    "0.00001,-0.000000001": "0.00001,-0.000000001",
    "-0,100": "0,100",
    "90,-180": "90,-180",
}


def test_a_place_is_told_as_exactly_as_it_was_said(api: ApiBench) -> None:
    for given, shown in PLACES.items():
        assert put(api, weather_location=given)["weather_location"] == shown
        assert put(api, weather_location=shown)["weather_location"] == shown


def test_a_setting_is_said_once_and_a_number_is_a_number(api: ApiBench) -> None:
    twice = [
        put(api, 400, retention_days=7, settings={"retention.days": 30}),
        put(api, 400, weather_cache_minutes=None, settings={"weather.cache_minutes": 30}),
    ]
    put(api, 422, weather_cache_minutes=True)
    put(api, 422, weather_cache_minutes="30")

    assert all("say one of both" in one["detail"] for one in twice)
    assert not (api.settings.data_dir / "ha-ingestor.toml").exists()


def test_of_many_who_change_the_same_settings_one_does(api: ApiBench) -> None:
    tag = api.client.get("/api/config").headers["etag"]

    def change(days: int) -> int:
        answer = api.client.put("/api/config", json={"retention_days": days}, headers={"If-Match": tag})
        return answer.status_code if answer.status_code != 200 else days

    with ThreadPoolExecutor(8) as threads:
        found = sorted(threads.map(change, range(1, 9)))

    assert found[1:] == [412] * 7
    assert kept(api)["retention"]["days"] == found[0]


def test_if_match_may_name_several_and_no_weak_one(api: ApiBench) -> None:
    def change(if_match: str) -> int:
        tag = api.client.get("/api/config").headers["etag"]
        headers = {"If-Match": if_match.format(tag)}
        return api.client.put("/api/config", json={"retention_days": 7}, headers=headers).status_code

    assert [change(one) for one in ("*", "{}", '"other", {}')] == [200] * 3
    assert [change(one) for one in ('"other"', "W/{}", "")] == [412] * 3


def test_if_match_may_come_in_several_lines(api: ApiBench) -> None:
    lines = [("If-Match", '"other"'), ("If-Match", api.client.get("/api/config").headers["etag"])]

    assert api.client.put("/api/config", json={"retention_days": 7}, headers=lines).status_code == 200


def test_no_other_process_changes_the_file_while_one_decides(tmp_path: Path) -> None:
    def decide() -> Mapping[str, Any]:
        # As another process would: a lock belongs to what was opened.
        other = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)
        return {"retention.days": 7}

    file = SettingsFile({"data_dir": tmp_path}, environ={}, cwd=tmp_path)
    changed = file.change(decide)
    again = file.change(lambda: {"retention.days": 8})

    assert (changed, again) == ({"retention.days": 7}, {"retention.days": 8})
    assert file.load().settings.retention.days == 8
