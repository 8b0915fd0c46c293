"""From the URL in the settings to a store: which one, where, and what is refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingestor import errors
from ingestor.settings import StorageSettings
from ingestor.storage.embedded import EmbeddedStore
from ingestor.storage.influx import Address, InfluxStore
from ingestor.storage.open import open_store


def opened(url: str, **more: Any) -> Any:
    return open_store(StorageSettings.model_validate({"url": url, **more}), Path("/data"))


def address(url: str, **more: Any) -> Address:
    store = opened(url, **more)
    assert isinstance(store, InfluxStore)
    return store._address


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite://", "/data/events.sqlite"),
        ("sqlite:///", "/data/events.sqlite"),
        ("sqlite:////var/lib/home%20events.sqlite", "/var/lib/home events.sqlite"),
        ("sqlite:///here/events.sqlite", "here/events.sqlite"),
        ("sqlite:///~/events.sqlite", str(Path.home() / "events.sqlite")),
    ],
)
def test_the_embedded_store_is_in_the_data_folder_or_where_the_url_says(url: str, path: str) -> None:
    store = opened(url)

    assert isinstance(store, EmbeddedStore)
    assert store._path == Path(path)


@pytest.mark.parametrize(
    ("url", "base_url", "database", "org"),
    [
        ("influxdb1://db.lan/home", "http://db.lan:8086", "home", ""),
        ("influxdb1://db.lan:99/my%20home/?tls=true", "https://db.lan:99", "my home", ""),
        ("influxdb2://db.lan/home?org=our%20home&tls=false", "http://db.lan:8086", "home", "our home"),
        ("influxdb3://[fd00::1]/home", "http://[fd00::1]:8181", "home", ""),
    ],
)
def test_an_influxdb_is_where_its_url_says(url: str, base_url: str, database: str, org: str) -> None:
    found = address(url, token="secret", timeout_s=3)

    assert (found.base_url, found.database, found.org) == (base_url, database, org)
    assert (found.token, found.timeout_s) == ("secret", 3)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_each_scheme_opens_its_own_version(version: int) -> None:
    assert opened(f"influxdb{version}://db.lan/home?org=o").product == f"InfluxDB {version}"


@pytest.mark.parametrize(
    ("host", "setting", "compressed"),
    [
        ("db.lan", None, True),
        ("192.168.1.5", None, True),
        ("localhost", None, False),
        ("127.0.0.1", None, False),
        ("[::1]", None, False),
        ("localhost", True, True),
        ("db.lan", False, False),
    ],
)
def test_requests_are_compressed_only_where_they_leave_the_machine(
    host: str, setting: bool | None, compressed: bool
) -> None:
    assert address(f"influxdb1://{host}/home", gzip=setting).gzip is compressed


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("influxdb1://db.lan", "no database"),
        ("influxdb2://db.lan/home", r"\?org="),
        ("influxdb1://db.lan/home?ssl=true", "unknown option"),
        ("influxdb1://db.lan/home?tls=perhaps", "tls"),
        ("influxdb1://user:pass@db.lan/home", r"storage\.token"),
        ("influxdb1://user:pass@db.lan", r"storage\.token"),
        ("sqlite://events.sqlite", "sqlite:///events.sqlite"),
        ("sqlite://[", "cannot be read"),
    ],
)
def test_a_url_that_means_nothing_is_refused_with_what_to_write(url: str, said: str) -> None:
    with pytest.raises(errors.InvalidSettings, match=said) as caught:
        opened(url)

    assert "pass" not in str(caught.value).replace("password", "")
