"""Events that are older than they are to be kept: deleted where somebody set that, noted, told, and never else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestor import bootstrap, errors
from ingestor.events.event import Event, Place
from ingestor.live.entry import decode_entry
from ingestor.managing.retention import BY_SCHEDULE, Retention, before_of
from ingestor.queue.app import make_app
from ingestor.security.access import ANONYMOUS
from ingestor.security.audit import Audit
from ingestor.settings import Settings, StorageSettings
from ingestor.storage.port import EventQuery
from ingestor.storage.quarantine import Quarantined
from ingestor.storage.schema import PointBuilder, point_time_ns
from tasks import resources as resources_module
from tasks.resources import Resources, resources
from tasks.upkeep import keep_house, retain
from tests.servers_brokers import ValkeyServer

DAY_US = 86_400_000_000
ENVIRON = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
Hold = Callable[..., Resources]


@pytest.fixture
def hold(tmp_path: Path, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hold]:
    """Give the resources of a worker process that keeps events for so many days."""

    def made(days: int | None) -> Resources:
        home = f"kept-{uuid.uuid4().hex[:8]}"
        url = {"url": valkey_server.url.removesuffix("/0") + "/8"}
        told = {"data_dir": tmp_path, "home": home, "broker": url, "state": url, "retention": {"days": days}}
        settings = Settings.model_validate(told)
        monkeypatch.setattr(bootstrap, "settings", lambda: settings)
        monkeypatch.setattr(resources_module, "current_app", make_app(f"memory://{uuid.uuid4().hex}"))
        resources_module.forget()
        held = resources()
        held.state.flushdb()
        return held

    yield made
    resources_module.forget()


def write(held: Resources, *ages_days: float) -> None:
    builder, now_us = PointBuilder(StorageSettings()), time.time_ns() // 1000
    place = Place("light.hall", "light")
    given = ("state_changed", "light.hall", "light.hall")
    events = [Event(0, "state", *given, now_us - int(age * DAY_US), 1, "websocket", 7, "on") for age in ages_days]
    points = [one for event in events for one in builder.points(event, place, held.settings.home, point_time_ns(event))]
    assert held.store.write(points).rejected == []


def stored(held: Resources) -> int:
    return len(list(held.store.read(EventQuery())))


def audit(held: Resources) -> list[dict[str, Any]]:
    path = held.settings.data_dir / "audit.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_nothing_is_deleted_unless_somebody_says_for_how_long_events_are_kept(hold: Hold) -> None:
    held = hold(None)
    write(held, 1, 4000)

    retain()

    assert stored(held) == 2
    assert audit(held) == []


def test_what_is_older_goes_is_noted_before_and_after_and_told_to_who_listens(hold: Hold) -> None:
    held = hold(30)
    write(held, 1, 29, 31, 40)
    home = held.settings.home
    channel = bootstrap.open_live_channel(held.settings, held.state)
    start = channel.kept(home).last

    retain()
    retain()

    assert stored(held) == 2
    first, second = audit(held)
    assert (first["who"], first["action"], "deleted" in first) == ("retention.days", "data:delete", False)
    assert second["deleted"] == {home: 2}
    (entry,) = channel.read({home: start}, most=10, wait_s=0)
    (notice,) = decode_entry(entry.body).notices
    assert (notice.name, notice.subject, notice.data["events"], notice.data["reason"]) == (
        "event.deleted",
        home,
        2,
        "retention",
    )
    assert notice.data["since"] < notice.data["until"] < second["before"]


def test_what_cannot_be_noted_is_not_done_and_nobody_unknown_deletes(hold: Hold, tmp_path: Path) -> None:
    held = hold(30)
    write(held, 40)
    (tmp_path / "audit.jsonl").mkdir()
    retention = Retention(held.store, held.state, Audit(tmp_path))

    with pytest.raises(OSError, match="audit"):
        retention.step(BY_SCHEDULE, before_of(30), for_s=1)
    retain()
    with pytest.raises(errors.Unauthenticated):
        retention.step(ANONYMOUS, before_of(30), for_s=1)

    assert stored(held) == 1
    assert [one.events for one in retention.outdated(before_of(30))] == [1]


def test_a_step_that_has_no_time_left_says_that_there_is_more(hold: Hold) -> None:
    held = hold(30)
    write(held, 40)
    retention = Retention(held.store, held.state, Audit(held.settings.data_dir))

    assert not retention.step(BY_SCHEDULE, before_of(30), for_s=0).over
    assert retention.last() is None
    done = retention.step(BY_SCHEDULE, before_of(30), for_s=60)

    assert (done.over, stored(held)) == (True, 0)
    last = retention.last()
    assert last is not None
    assert (last.events, last.by) == (1, "retention.days")


def test_the_quarantine_is_kept_as_long_at_most(hold: Hold) -> None:
    held = hold(30)
    old_ns, new_ns = (time.time_ns() - age * DAY_US * 1000 for age in (31, 29))
    for at_ns in (old_ns, new_ns):
        piece = (f"{at_ns}", 1, held.settings.home, "mqtt", "invalid_json", "cut", b"{", at_ns, "topic", "t")
        held.quarantine.put([Quarantined(*piece)])

    keep_house()

    assert held.quarantine.count() == 1


def test_the_command_counts_and_deletes_only_if_asked(hold: Hold, tmp_path: Path) -> None:
    held = hold(None)
    write(held, 1, 40)
    command = ("retention", "--days", "30", "--json")
    url = str(held.settings.state.url)
    sets = (f"home={held.settings.home}", f"broker.url={url}", f"state.url={url}")
    given = ("--data-dir", str(tmp_path), *(word for one in sets for word in ("--set", one)))

    def run(*words: str) -> dict[str, Any]:
        line = [sys.executable, "-m", "ingestor", *given, *words]
        done = subprocess.run(line, cwd=tmp_path, env=ENVIRON, capture_output=True, timeout=60, check=True)
        return dict(json.loads(done.stdout))

    counted = run(*command)
    assert (counted["deleted"], [one["events"] for one in counted["homes"]], stored(held)) == (False, [1], 2)
    deleted = run(*command, "--delete")

    assert (deleted["deleted"], [one["events"] for one in deleted["homes"]], stored(held)) == (True, [1], 1)
    assert "@" in audit(held)[0]["who"]
    assert deleted["last"]["events"] == 1
