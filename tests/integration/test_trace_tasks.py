"""What workers saw to run is fetched: from the page of a worker to the runs that are kept, through the tasks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from celery import Celery
from pydantic import SecretStr

from ingestor import bootstrap
from ingestor.demo.running import RunningDemo, running_demo
from ingestor.events.event import EventBatch, Place
from ingestor.events.observed import ObservedPage
from ingestor.home.model import Snapshot, Timeline
from ingestor.home.publication import RedisMaps
from ingestor.home.traces.requests import take_started, traces_lock
from ingestor.live.entry import decode_entry
from ingestor.queue import message
from ingestor.queue.app import make_app
from ingestor.settings import BrokerSettings, HomeAssistantSettings, HomeSettings, Settings, StateSettings
from tasks import asking
from tasks import resources as resources_module
from tasks.enrich import enrich_batch
from tasks.registry import fetch_all_traces, fetch_traces
from tasks.resources import resources
from tasks.upkeep import keep_observed
from tests.servers_brokers import ValkeyServer
from tests.unit.test_cause import triggered

HOME = f"home-{uuid.uuid4().hex[:12]}"
BEDTIME = "automation.bedtime"


@pytest.fixture
def demo() -> Iterator[RunningDemo]:
    """A demo Home Assistant in which somebody goes to bed."""
    with running_demo(entities=150) as running:
        go_to_bed(running)
        yield running


def go_to_bed(demo: RunningDemo) -> None:
    target = {"entity_id": "input_button.good_night"}
    demo.control.call(lambda home: home.call_service("input_button.press", target=target))


@pytest.fixture
def app(
    demo: RunningDemo, tmp_path: Path, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Celery]:
    """An application for that home, of which nobody works."""
    settings = Settings(
        data_dir=tmp_path,
        broker=BrokerSettings(url=valkey_server.url),
        state=StateSettings(url=valkey_server.url),
        homes=(
            HomeSettings(name=HOME, homeassistant=HomeAssistantSettings(url=demo.url, token=SecretStr(demo.token))),
        ),
    )
    monkeypatch.setattr(bootstrap, "settings", lambda: settings)
    found = make_app(f"memory://{uuid.uuid4().hex}")
    monkeypatch.setattr(asking, "current_app", found)
    monkeypatch.setattr(resources_module, "current_app", found)
    resources_module.forget()
    yield found
    resources_module.forget()


def sent(app: Celery) -> list[list[Any]]:
    """Return what the tasks that wait were sent with."""
    found = []
    with app.connection_for_read() as connection:
        channel: Any = connection.channel()
        while (message := channel.basic_get("registry", no_ack=True)) is not None:
            found.append(msgspec.msgpack.decode(message.body)[0])
    return found


def test_what_a_worker_saw_to_run_is_fetched_and_kept(app: Celery) -> None:
    held = resources()
    held.observed_post.put(ObservedPage(uuid.uuid4().hex, 1, HOME, [], [], [BEDTIME]))

    channel = bootstrap.open_live_channel(held.settings, held.state)
    start = channel.kept(HOME).last

    keep_observed()
    fetch_traces(*sent(app)[0])

    runs = bootstrap.open_traces(held.settings, held.database).runs(HOME)
    assert {run.domain for run in runs} == {"automation", "script"}
    assert take_started(held.state, HOME) == []
    (entry,) = channel.read({HOME: start}, most=10, wait_s=0)
    told = decode_entry(entry.body).notices
    assert sorted(notice.data["run_id"] for notice in told) == sorted(
        run.run_id for run in runs if run.domain == "automation"
    )
    assert {notice.name for notice in told} == {"automation.executed"}


def test_while_another_one_fetches_what_has_run_waits(app: Celery) -> None:
    held = resources()
    held.observed_post.put(ObservedPage(uuid.uuid4().hex, 1, HOME, [], [], [BEDTIME]))
    keep_observed()

    with traces_lock(held.state, HOME):
        fetch_traces(*sent(app)[0])

    assert bootstrap.open_traces(held.settings, held.database).runs(HOME) == []
    assert take_started(held.state, HOME) == [BEDTIME]


def test_all_homes_are_looked_through_by_the_clock(app: Celery) -> None:
    fetch_all_traces()

    assert [HOME, True] in sent(app)


def test_a_burst_of_more_runs_than_home_assistant_keeps_is_kept_whole(app: Celery, demo: RunningDemo) -> None:
    held = resources()
    RedisMaps(held.state).publish(Snapshot(HOME, 1, 0, {BEDTIME: Timeline(0, Place(BEDTIME, "automation"))}), [])
    for _ in range(3):
        go_to_bed(demo)

    enrich_batch(message.encode_events(seen(3)))
    fetch_traces(*sent(app)[0])
    for _ in range(4):
        go_to_bed(demo)
    held.observed_post.put(ObservedPage(uuid.uuid4().hex, 1, HOME, [], [], [BEDTIME]))
    keep_observed()
    fetch_traces(*sent(app)[0])

    runs = bootstrap.open_traces(held.settings, held.database).runs(HOME)
    assert [run.domain for run in runs].count("automation") == 8


def seen(runs: int) -> EventBatch:
    """Return a batch in which the automation starts so often."""
    events = [triggered(BEDTIME, number) for number in range(runs)]
    for slot, event in enumerate(events):
        event.slot = slot
    return EventBatch(uuid.uuid4().hex[:26], HOME, "websocket", "journal", 1, len(events), events)
