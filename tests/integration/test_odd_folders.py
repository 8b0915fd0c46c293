"""A data folder may have any plain text in its name: broker, state server and databases are in it, not beside it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestor import bootstrap
from ingestor.queue.app import make_app
from ingestor.queue.depths import redis_address
from ingestor.settings import Settings
from ingestor.storage.open import open_store
from tests.servers import wait_until
from workers import broker

NAMES = ["HA #1", "what?", "my data #1 50%?ü&b=1", "100%41"]


@pytest.fixture(params=NAMES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / request.param)


@pytest.fixture
def running(settings: Settings) -> Iterator[Settings]:
    """The embedded broker, as `up` starts it."""
    process = subprocess.Popen(broker.command(settings), stdout=subprocess.DEVNULL)
    yield settings
    process.terminate()
    process.wait(30)


def test_the_embedded_broker_is_reached_on_all_roads(running: Settings) -> None:
    wait_until(lambda: broker.answers(running), timeout_s=60, what="the embedded broker")

    assert bootstrap.open_state(running).ping()
    assert redis_address(running.broker_url) == running.state_url
    with make_app(running.broker_url).connection() as connection:
        connection.ensure_connection(max_retries=1)
    assert [path.name for path in running.data_dir.parent.iterdir()] == [running.data_dir.name]


def test_databases_are_in_the_folder(settings: Settings) -> None:
    bootstrap.open_metadata(settings).dispose()
    open_store(settings.storage, settings.data_dir).check(write=True)

    assert {"metadata.sqlite", "events.sqlite"} <= {path.name for path in settings.data_dir.iterdir()}
    assert [path.name for path in settings.data_dir.parent.iterdir()] == [settings.data_dir.name]
