"""The sync of a home against real servers: database and Redis, with Home Assistant's recorded answers."""

from __future__ import annotations

import gzip
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr

from ingestor import errors
from ingestor.events.event import Place
from ingestor.home import history, objects_store, requests, roles
from ingestor.home.cache import RedisHomeMap
from ingestor.home.derive import Registries
from ingestor.home.history import MapHistory
from ingestor.home.merge import Diff
from ingestor.home.model import Snapshot
from ingestor.home.publication import RedisMaps
from ingestor.home.sync import read_registries, run_sync, sync_home
from ingestor.home.traces import store as traces_store
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.live import places as live_places
from ingestor.quality import attributes_store, book_sql
from ingestor.queue.state import connect_state
from ingestor.reports import shelf_sql
from ingestor.settings import HomeAssistantSettings, HomeSettings, RegistrySettings
from ingestor.storage import gaps_sql, ledger_sql, observed_sql, quarantine_sql, reconciled_sql
from ingestor.storage.database import open_database
from ingestor.webhooks import tables as webhook_tables

RECORDINGS = Path(__file__).parent.parent / "recordings"
NOW_US = 1_795_230_100_000_000
S = 1_000_000


class Answers(HomeAssistantClient):
    """Home Assistant's side, from what it answered when it was recorded; the test may change it."""

    COMMANDS = {  # noqa: RUF012 - never changed
        "config/entity_registry/list": "entities",
        "config/device_registry/list": "devices",
        "config/area_registry/list": "areas",
        "config/floor_registry/list": "floors",
        "config/label_registry/list": "labels",
        "get_states": "states",
    }

    def __init__(self, rows: dict[str, Any]) -> None:
        super().__init__(HomeAssistantSettings())
        self.rows = rows
        self.asked: list[str] = []
        self.before: Callable[[str], None] = lambda _: None

    def __enter__(self) -> Self:
        self.before("connect")
        return self

    def command(self, type: str, **fields: Any) -> Any:  # noqa: A002 - as in the class
        self.before(type)
        self.asked.append(type)
        if type not in self.COMMANDS:
            raise errors.CommandRefused("unknown_command", type)
        return [dict(row) for row in self.rows[self.COMMANDS[type]]]

    def commands(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        return [errors.CommandRefused("unknown_command", name) for name, _ in asked]

    def rename(self, old: str, new: str) -> None:
        for row in (*self.rows["entities"], *self.rows["states"]):
            if row["entity_id"] == old:
                row["entity_id"] = new

    def move(self, entity_id: str, area_id: str) -> None:
        next(row for row in self.rows["entities"] if row["entity_id"] == entity_id)["area_id"] = area_id


class Bench:
    """One home with its servers, on a clock of the test for the effective times."""

    def __init__(self, redis_url: str, database: sa.Engine) -> None:
        self.name = f"home-{uuid.uuid4().hex[:12]}"
        self.state = connect_state(redis_url)
        self.database = database
        self.now_us = NOW_US
        with gzip.open(RECORDINGS / "home_registries_2026.json.gz") as file:
            self.answers = Answers(json.load(file))

    def sync(self, **options: Any) -> Diff:
        publisher = options.pop("publisher", None) or RedisMaps(self.state)
        registries = options.pop("registries", None) or read_registries(self.answers)
        return sync_home(
            self.name,
            registries,
            MapHistory(self.database),
            publisher,
            effective_after_s=5,
            clock=options.pop("clock", None) or (lambda: self.now_us),
        )

    def run(self) -> Diff:
        settings = HomeSettings(
            name=self.name, homeassistant=HomeAssistantSettings(url="http://ha:8123", token=SecretStr("t"))
        )
        return run_sync(settings, RegistrySettings(), self.state, self.database, connect=lambda _: self.answers)

    def place(self, entity_id: str, time_us: int) -> Place | None:
        places = RedisHomeMap(self.state)
        places.ready(self.name)
        return places.place_of(self.name, entity_id, time_us)

    def flush(self) -> None:
        for key in self.state.scan_iter(f"ha_ingestor:*{self.name}*"):
            self.state.delete(key)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    if request.param == "sqlite":
        engine = open_database(f"sqlite:///{tmp_path / 'metadata.sqlite'}")
    else:
        server: Any = request.getfixturevalue("postgresql")
        engine = open_database(server.create_database(f"h{uuid.uuid4().hex[:12]}"))
    yield engine
    engine.dispose()


@pytest.fixture
def bench(redis_server: Any, database: sa.Engine) -> Bench:
    return Bench(redis_server.url, database)


def test_the_tables_that_the_code_uses_are_those_that_the_migrations_make(database: sa.Engine) -> None:
    used = sa.MetaData()
    for table in (
        table
        for metadata in (
            history,
            objects_store,
            roles,
            quarantine_sql,
            gaps_sql,
            ledger_sql,
            observed_sql,
            reconciled_sql,
            traces_store,
            attributes_store,
            shelf_sql,
            book_sql,
            webhook_tables,
            live_places,
        )
        for table in metadata.METADATA.tables.values()
    ):
        table.to_metadata(used)

    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        different = compare_metadata(context, used)

    assert different == []


def test_the_first_sync_places_every_entity_for_all_time(bench: Bench) -> None:
    diff = bench.sync()

    assert len(diff.added) == 199
    lamp = Place("light.bed_light", "light", "Bedroom", "First floor", "Bed Light", "", "demo", ("Energy",))
    assert bench.place("light.bed_light", 0) == bench.place("light.bed_light", NOW_US) == lamp
    assert bench.place("light.nowhere", NOW_US) is None


def test_an_unchanged_home_makes_no_new_version(bench: Bench) -> None:
    first = bench.sync()
    bench.now_us += 900 * S

    second = bench.sync()

    assert not second
    assert second.version == first.version
    assert len(MapHistory(bench.database).load(bench.name).versions) == 1


def test_another_area_holds_five_seconds_after_it_was_published(bench: Bench) -> None:
    bench.sync()
    bench.now_us += 900 * S
    bench.answers.move("light.bed_light", "kitchen")

    diff = bench.sync()

    places = [bench.place("light.bed_light", bench.now_us + 5 * S + late) for late in (-1, 0)]
    assert diff.changed == ["light.bed_light"]
    assert [place.area for place in places if place] == ["Bedroom", "Kitchen"]


def test_where_the_clock_of_home_assistant_is_ahead_its_time_counts(bench: Bench) -> None:
    bench.sync()
    bench.answers.move("light.bed_light", "kitchen")
    bench.answers.rows["states"][0]["last_updated"] = "2026-11-21T04:00:00.000000+00:00"
    ahead_us = 1_795_233_600_000_000
    assert ahead_us > bench.now_us

    bench.sync()

    places = [bench.place("light.bed_light", ahead_us + 5 * S + late) for late in (-1, 0)]
    assert [place.area for place in places if place] == ["Bedroom", "Kitchen"]


def test_a_renamed_entity_stays_its_series_over_syncs_and_restarts(bench: Bench) -> None:
    bench.sync()
    bench.answers.rename("light.bed_light", "light.sleep")
    first = bench.sync()
    bench.answers.rename("light.sleep", "light.dream")

    second = bench.sync()

    assert (first.renamed, second.renamed) == (
        [("light.bed_light", "light.sleep")],
        [("light.sleep", "light.dream")],
    )
    found = [bench.place(name, bench.now_us) for name in ("light.bed_light", "light.sleep", "light.dream")]
    assert {place.series for place in found if place} == {"light.bed_light"}


def test_after_a_flush_the_next_sync_publishes_the_same_version_again(bench: Bench) -> None:
    bench.sync()
    bench.now_us += 900 * S
    bench.answers.move("light.bed_light", "kitchen")
    version = bench.sync().version
    moved_us = bench.now_us + 5 * S
    bench.flush()
    bench.now_us += 900 * S

    diff = bench.sync()

    places = [bench.place("light.bed_light", moved_us + late) for late in (-1, 0)]
    assert (diff.version, bool(diff)) == (version, False)
    assert [place.area for place in places if place] == ["Bedroom", "Kitchen"]


def test_a_decision_is_folded_into_the_history_and_outlives_redis(bench: Bench) -> None:
    bench.sync()
    places = RedisHomeMap(bench.state)
    places.ready(bench.name)
    places.decide_unknown(bench.name, "light.sleep", NOW_US)
    bench.answers.rename("light.bed_light", "light.sleep")
    bench.now_us += 10 * S

    diff = bench.sync()
    bench.flush()
    bench.sync()

    found = [bench.place("light.sleep", bench.now_us + 5 * S + late) for late in (-1, 0)]
    assert diff.decided == ["light.sleep"]
    assert [(place.series, place.area) for place in found if place] == [
        ("light.sleep", ""),
        ("light.bed_light", "Bedroom"),
    ]


class Interrupted(RedisMaps):
    """Something happens just before a version goes out."""

    def __init__(self, bench: Bench, *happenings: Callable[[], None]) -> None:
        super().__init__(bench.state)
        self.happenings = list(happenings)

    def publish(self, snapshot: Snapshot, decided: Any) -> bool:
        if self.happenings:
            self.happenings.pop(0)()
        return super().publish(snapshot, decided)


def decide(bench: Bench, entity_id: str) -> None:
    places = RedisHomeMap(bench.state)
    places.ready(bench.name)
    places.decide_unknown(bench.name, entity_id, NOW_US)


def test_a_decision_made_while_a_sync_runs_stands(bench: Bench) -> None:
    bench.sync()
    bench.answers.rename("light.bed_light", "light.sleep")
    racing = Interrupted(bench, lambda: decide(bench, "light.sleep"), lambda: decide(bench, "light.other"))

    diff = bench.sync(publisher=racing)

    assert (diff.decided, diff.renamed) == (["light.other", "light.sleep"], [("light.bed_light", "light.sleep")])
    assert racing.happenings == []
    found = [bench.place("light.sleep", NOW_US + 5 * S + late) for late in (-1, 0)]
    assert [place.series for place in found if place] == ["light.sleep", "light.bed_light"]


def die() -> None:
    raise errors.StateUnavailable("killed")


def test_a_version_that_did_not_come_out_gets_a_new_effective_time(bench: Bench) -> None:
    bench.sync()
    bench.answers.move("light.bed_light", "kitchen")
    with pytest.raises(errors.StateUnavailable):
        bench.sync(publisher=Interrupted(bench, die))
    bench.now_us += 600 * S

    bench.sync()

    places = [bench.place("light.bed_light", bench.now_us + 5 * S + late) for late in (-1, 0)]
    assert [place.area for place in places if place] == ["Bedroom", "Kitchen"]


class Forgetful(MapHistory):
    """The process dies after a version came out, before that is noted."""

    def mark_published(self, home: str, version: int, now_us: int) -> None:
        raise errors.StoreUnavailable("killed")


def test_a_version_that_came_out_keeps_its_effective_time_though_nobody_noted_it(bench: Bench) -> None:
    bench.sync()
    bench.answers.move("light.bed_light", "kitchen")
    with pytest.raises(errors.StoreUnavailable):
        sync_home(
            bench.name,
            read_registries(bench.answers),
            Forgetful(bench.database),
            RedisMaps(bench.state),
            effective_after_s=5,
            clock=lambda: bench.now_us,
        )
    moved_us = bench.now_us + 5 * S
    bench.now_us += 600 * S

    bench.sync()

    places = [bench.place("light.bed_light", moved_us + late) for late in (-1, 0)]
    assert [place.area for place in places if place] == ["Bedroom", "Kitchen"]


class Slow(MapHistory):
    """Keeping a version takes four seconds, once."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.database)
        self.bench = bench
        self.took_s = 4

    def add(self, home: str, version: history.Version, entries: Any) -> None:
        super().add(home, version, entries)
        self.bench.now_us += self.took_s * S
        self.took_s = 0


def test_a_sync_that_was_slow_puts_its_effective_time_off(bench: Bench) -> None:
    bench.sync()
    bench.answers.move("light.bed_light", "kitchen")

    sync_home(
        bench.name,
        read_registries(bench.answers),
        Slow(bench),
        RedisMaps(bench.state),
        effective_after_s=5,
        clock=lambda: bench.now_us,
    )

    places = [bench.place("light.bed_light", bench.now_us + 5 * S + late) for late in (-1, 0)]
    assert [place.area for place in places if place] == ["Bedroom", "Kitchen"]


def test_a_home_without_home_assistant_is_ready_and_may_get_one_later(bench: Bench) -> None:
    bare = run_sync(HomeSettings(name=bench.name), RegistrySettings(), bench.state, bench.database)
    before = bench.place("light.bed_light", NOW_US)
    again = run_sync(HomeSettings(name=bench.name), RegistrySettings(), bench.state, bench.database)

    bench.sync()

    assert (len(bare.added), again.version) == (0, bare.version)
    assert before == bench.place("light.bed_light", NOW_US + 5 * S - 1) == Place("light.bed_light", "light")
    after = bench.place("light.bed_light", NOW_US + 5 * S)
    assert after is not None
    assert after.area == "Bedroom"


def test_run_sync_reads_keeps_and_publishes_and_answers_the_request(bench: Bench) -> None:
    requests.request_sync(bench.state, bench.name)

    diff = bench.run()

    assert len(diff.added) == 199
    assert not requests.sync_due(bench.state, bench.name, 0)
    assert bench.place("light.bed_light", NOW_US) is not None


def test_only_one_sync_of_a_home_runs_at_a_time_and_the_other_is_asked_for_again(bench: Bench) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def wait(_: str) -> None:
        inside.set()
        go_on.wait(10)

    bench.answers.before = wait
    first = threading.Thread(target=bench.run)
    first.start()
    inside.wait(10)

    second = bench.run()
    go_on.set()
    first.join(10)

    assert (second.busy, str(second)) == (True, "busy")
    assert requests.sync_due(bench.state, bench.name, 0)
    assert not bench.run().busy


def test_a_refused_token_is_not_shown_to_home_assistant_twice(bench: Bench) -> None:
    shown: list[str] = []
    began_s = time.time()

    def refuse(what: str) -> None:
        shown.append(what)
        raise errors.AuthenticationRefused

    bench.answers.before = refuse
    for _ in range(3):
        with pytest.raises(errors.AuthenticationRefused):
            bench.run()

    assert shown == ["connect"]
    assert requests.answered_since(bench.state, bench.name, began_s), "nobody need wait for what it will not say"


def test_a_home_that_is_away_has_not_answered_and_one_that_was_read_has(bench: Bench) -> None:
    def be_away(_: str) -> None:
        raise errors.HomeAssistantUnavailable

    began_s = time.time()
    bench.answers.before = be_away
    with pytest.raises(errors.HomeAssistantUnavailable):
        bench.run()
    away = requests.answered_since(bench.state, bench.name, began_s)
    bench.answers.before = lambda _: None
    bench.run()

    assert not away
    assert requests.answered_since(bench.state, bench.name, began_s)
    assert not requests.answered_since(bench.state, bench.name, time.time())


def test_an_entity_renamed_while_the_home_is_read_is_read_again(bench: Bench) -> None:
    bench.sync()
    renames = iter([("light.bed_light", "light.sleep")])

    def rename_once(command: str) -> None:
        if command == "get_states" and (names := next(renames, None)):
            bench.answers.rename(*names)

    bench.answers.before = rename_once

    diff = bench.sync()

    assert diff.renamed == [("light.bed_light", "light.sleep")]
    assert bench.answers.asked[-7:].count("get_states") >= 1
    assert (diff.added, diff.removed, diff.changed) == ([], [], [])


def test_a_request_is_due_after_a_quiet_time_or_when_it_has_waited_long_enough(bench: Bench) -> None:
    now = 1000.0

    def due() -> bool:
        return requests.sync_due(bench.state, bench.name, 1.0, clock=lambda: now)

    def ask() -> None:
        requests.request_sync(bench.state, bench.name, clock=lambda: now)

    nothing = due()
    ask()
    at_once = due()
    now += 1.0
    quiet = due()
    requests.forget_request(bench.state, bench.name)
    restless = []
    for _ in range(7):
        ask()
        restless.append(due())
        now += 0.5

    assert (nothing, at_once, quiet) == (False, False, True)
    assert restless == [False] * 6 + [True]


def test_who_only_waits_for_a_sync_does_not_put_it_off(bench: Bench) -> None:
    requests.request_sync(bench.state, bench.name, settle=False, clock=lambda: 1000.0)
    requests.request_sync(bench.state, bench.name, settle=False, clock=lambda: 1000.9)

    assert requests.sync_due(bench.state, bench.name, 1.0, clock=lambda: 1001.0)


def test_without_registries_no_lists_are_invented(bench: Bench) -> None:
    bench.answers.rows = {name: [] for name in bench.answers.rows}

    assert read_registries(bench.answers) == Registries([], [], [], [], [], [])
    assert bench.run().version > 0
