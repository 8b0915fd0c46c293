"""Which addresses the settings take."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ingestor.settings import Settings


@pytest.mark.parametrize(
    ("group", "url"),
    [
        ("homeassistant", "http://homeassistant.local:8123"),
        ("homeassistant", "wss://[::1]:8123/path"),
        ("mqtt", "mqtt://user:p%40ss@host"),
        ("mqtt", "mqtts://10.0.0.1:8883"),
        ("storage", "sqlite://"),
        ("storage", "sqlite:///path/events.sqlite"),
        ("storage", "influxdb2://host:8086/bucket?org=home"),
        ("broker", "embedded"),
        ("broker", "redis+socket:///run/valkey.sock?virtual_host=1"),
        ("broker", "amqp://user:password@host:5672//"),
        ("broker", "redis://:password@host:6379/0"),
        ("state", "unix:///run/valkey.sock?db=1"),
        ("database", "postgresql://user@host/name"),
        ("database", "sqlite:////path/metadata.sqlite"),
    ],
)
def test_an_address_of_a_known_kind_is_taken(group: str, url: str) -> None:
    more = {} if group == "state" else {"state": {"url": "redis://host"}}
    settings = Settings.model_validate({"data_dir": "x", group: {"url": url}, **more})

    assert getattr(settings, group).url == url


@pytest.mark.parametrize(
    ("group", "url"),
    [
        ("homeassistant", "homeassistant.local:8123"),
        ("homeassistant", "http://"),
        ("homeassistant", "http://host:0"),
        ("homeassistant", "http://host:99999"),
        ("homeassistant", "http://ho st"),
        ("mqtt", "tcp://host"),
        ("mqtt", "host:1883"),
        ("storage", "influxdb://host:8086/database"),
        ("storage", "influxdb1://"),
        ("storage", "http://host:8086"),
        ("broker", "Embedded"),
        ("broker", "kafka://host"),
        ("state", "amqp://host"),
        ("database", "mysql://host/name"),
    ],
)
def test_any_other_address_is_refused(group: str, url: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"data_dir": "x", group: {"url": url}})


def test_an_embedded_broker_is_the_state_server_too() -> None:
    settings = Settings.model_validate({"data_dir": "/somewhere"})

    assert settings.broker_url == "redis+socket:///somewhere/broker/valkey.sock?virtual_host=0"
    assert settings.state_url == "unix:///somewhere/broker/valkey.sock?db=0"


def test_rabbitmq_needs_a_redis_beside_it() -> None:
    broker = {"url": "amqp://guest:guest@127.0.0.1:5672//"}

    with pytest.raises(ValidationError, match=r"state\.url is not set"):
        Settings.model_validate({"data_dir": "x", "broker": broker})
    settings = Settings.model_validate({"data_dir": "x", "broker": broker, "state": {"url": "redis://host/1"}})
    assert settings.state_url == "redis://host/1"


@pytest.mark.parametrize("name", ["two\nlines", "bell\a", "not \udcff UTF-8"])
def test_a_folder_that_no_address_can_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="in its name"):
        Settings.model_validate({"data_dir": f"/somewhere/{name}"})


def test_a_path_in_an_address_is_quoted() -> None:
    settings = Settings.model_validate({"data_dir": "/srv/HA #1?"})

    assert settings.broker_url == "redis+socket:///srv/HA%20%231%3F/broker/valkey.sock?virtual_host=0"
    assert settings.state_url == "unix:///srv/HA%20%231%3F/broker/valkey.sock?db=0"
    assert settings.database_url == "sqlite:////srv/HA%20%231%3F/metadata.sqlite"
