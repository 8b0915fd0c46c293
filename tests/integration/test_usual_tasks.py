"""What workers observed comes back to them as what is usual: through the task, a database and a state server."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingestor import bootstrap
from ingestor.events.observed import Activity, ObservedPage
from ingestor.home.usual import LOOK_EVERY_S, RedisUsual
from ingestor.settings import BrokerSettings, Settings, StateSettings, StorageSettings
from tasks import resources as resources_module
from tasks.resources import Resources, resources
from tasks.upkeep import keep_observed
from tests.servers_brokers import ValkeyServer

NOON_US = 1_795_262_400_000_000
DAY_US = 86_400_000_000
Opened = Callable[[tuple[str, ...]], Resources]


@pytest.fixture
def opened(tmp_path: Path, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    def open_with(fields: tuple[str, ...]) -> Resources:
        settings = Settings(
            data_dir=tmp_path,
            broker=BrokerSettings(url=valkey_server.url),
            state=StateSettings(url=valkey_server.url),
            storage=StorageSettings(context_fields=fields),
        )
        monkeypatch.setattr(bootstrap, "settings", lambda: settings)
        resources_module.forget()
        return resources()

    yield open_with
    resources_module.forget()


def observe(held: Resources, home: str, *, days: int = 2) -> None:
    quarters = [Activity(NOON_US + day * DAY_US, 13, 6, 11, {"light.hall": 4}) for day in range(days)]
    held.observed_post.put(ObservedPage(uuid.uuid4().hex, 1, home, [], quarters))
    keep_observed()


def test_what_was_observed_for_a_day_is_told_to_the_workers_once_in_a_while(opened: Opened) -> None:
    held, home, now = opened(("usual_per_hour",)), uuid.uuid4().hex, [0.0]
    worker = RedisUsual(held.state, clock=lambda: now[0])

    nothing_yet = dict(worker.known(home))
    observe(held, home)
    not_looked_yet = dict(worker.known(home))
    now[0] += LOOK_EVERY_S
    known = worker.known(home)["light.hall"]
    observe(held, home, days=3)
    now[0] += LOOK_EVERY_S

    assert nothing_yet == not_looked_yet == {}
    assert known.share(13, 6, 11) == (1.0, 1.0, 1.0)
    assert known.per_hour > 0
    assert worker.known(home)["light.hall"] is known


def test_what_was_watched_for_less_than_a_day_is_not_usual(opened: Opened) -> None:
    held, home = opened(("*",)), uuid.uuid4().hex

    observe(held, home, days=1)

    assert RedisUsual(held.state).known(home) == {}


def test_where_no_point_is_to_say_it_nothing_is_told(opened: Opened) -> None:
    held, home = opened(("cause_*",)), uuid.uuid4().hex

    observe(held, home)

    assert RedisUsual(held.state).known(home) == {}
    assert held.observed.pattern(home, "light.hall") is not None
