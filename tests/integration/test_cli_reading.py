"""`events`, `status` and `quarantine list`: what was stored and what runs, as table and as JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from ingestor import bootstrap
from ingestor.cli.main import run
from ingestor.events.counts import Counts, Page, hour_of
from ingestor.events.event import Event, Moment, Place
from ingestor.queue.ledger_post import RedisLedgerPost
from ingestor.queue.status_board import StatusBoard
from ingestor.queue.topics_board import OUT, TopicsBoard
from ingestor.settings import Settings
from ingestor.settings_sources import load_settings
from ingestor.storage.quarantine import Quarantined
from ingestor.storage.schema import PointBuilder, point_time_ns
from tests.servers_brokers import RedisServer

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")

NOW_US = time.time_ns() // 1000


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer) -> Settings:
    monkeypatch.chdir(tmp_path)
    url = redis_server.url.removesuffix("/0") + "/8"
    redis.Redis.from_url(url).flushdb()
    monkeypatch.setenv("HA_INGESTOR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HA_INGESTOR_BROKER__URL", url)
    (tmp_path / "data").mkdir()
    found = load_settings().settings
    # Its tables take a while to make, and `status` waits for nobody.
    bootstrap.open_metadata(found).dispose()
    return found


def store_events(settings: Settings) -> None:
    store = bootstrap.open_store(settings)
    builder = PointBuilder(settings.storage)
    kitchen = Place("sensor.kitchen", "sensor", area="Kitchen [north]", device="Thermometer")
    points = [
        point
        for age_s, state in ((7200, "18"), (60, "19.5"), (30, "20"))
        for event in (state_change(age_s, state),)
        for point in builder.points(event, kitchen, "home", point_time_ns(event))
    ]
    assert store.write(points).rejected == []
    store.close()


def state_change(age_s: int, state: str) -> Event:
    return Event(
        slot=0,
        kind="state",
        event_type="state_changed",
        subject="sensor.kitchen",
        entity_id="sensor.kitchen",
        time_us=NOW_US - age_s * 1_000_000,
        received_ns=NOW_US * 1000,
        source="websocket",
        identity=1,
        state=state,
        value=float(state),
        unit="°C",
        place=0,
    )


def printed_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_events_are_printed_with_what_held_for_the_home_then(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    store_events(settings)
    store = bootstrap.open_store(settings)
    builder = PointBuilder(settings.storage)
    fields: dict[str, Any] = {"outdoor_temperature": 3.5, "sun_phase": "night", "persons_home_names": ""}
    cold = Moment(NOW_US - 90_000_000, NOW_US - 40_000_000, fields)
    warm = Moment(NOW_US - 40_000_000, NOW_US, {"outdoor_temperature": 4.5, "outdoor_condition": "sunny"})
    assert store.write(builder.context_points("home", [cold, warm])).rejected == []
    store.close()

    run(["events", "--context", "--json"])
    told = [line["context"] and line["context"]["fields"] for line in printed_lines(capsys)]
    run(["events", "--context"])
    shown = " ".join(capsys.readouterr().out.split())

    assert told == [warm.fields, cold.fields, None]
    assert "context" in shown
    assert "night" in shown


def test_events_are_printed_newest_first_one_object_a_line(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    store_events(settings)

    assert run(["events", "--json"]) == 0
    everything = printed_lines(capsys)
    assert run(["events", "--json", "--entity", "sensor.k*", "--since", "1h", "--limit", "1"]) == 0
    newest = printed_lines(capsys)
    assert run(["events", "--json", "--entity", "light.*"]) == 0
    none = printed_lines(capsys)

    assert [event["fields"]["value"] for event in everything] == [20.0, 19.5, 18.0]
    assert newest == everything[:1]
    assert newest[0]["tags"]["area"] == "Kitchen [north]"
    assert none == []


def test_the_table_of_events_shows_state_with_unit_and_names_as_they_are(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    store_events(settings)

    assert run(["events"]) == 0

    printed = capsys.readouterr().out
    for expected in ("sensor.kitchen", "19.5 °C", "Kitchen [north]", "Thermometer", "websocket"):
        assert expected in printed


def test_an_empty_store_is_no_failure(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["events"]) == 0
    assert capsys.readouterr() == ("", "no events match\n")


def test_status_tells_listeners_queues_workers_journal_and_rates(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    state = redis.Redis.from_url(settings.state_url)
    board = StatusBoard(state)
    intake = {
        "pending_batches": 3,
        "bytes_on_disk": 4096,
        "counts": {"written": 40, "duplicate": 2},
        "written_per_s": 7.5,
    }
    board.put(
        "listener", "home:websocket", {"connected": True, "last_error": "cut once", "frames": 9, "intake": intake}
    )
    board.put("worker", "rare@host", {"type": "rare", "queues": ["registry", "upkeep"], "processes": 1, "tasks": 2})
    state.rpush("enrich", b"a batch")
    TopicsBoard(state).tell(OUT, {"connected": False, "last_error": "the broker cannot be reached"})

    assert run(["status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert run(["status"]) == 0
    table = capsys.readouterr().out

    assert told["webhooks"] == {"registered": 0, "disabled": 0, "failing": 0, "waiting": 0, "dead": 0}
    assert told["mqtt_out"]["connected"] is False
    assert "not connected: the broker cannot be reached" in table
    assert told["counts"] == {"received": 42, "written": 40, "duplicate": 2, "rejected": 0, "filtered": 0, "lost": 0}
    assert told["written_per_s"] == 7.5
    assert told["queues"]["enrich"] == 1
    assert told["workers"]["registry"] == {"nodes": 1, "processes": 1, "tasks": 2}
    assert told["journal"] == {"pending_batches": 3, "bytes_on_disk": 4096}
    assert told["quarantine"] == 0
    assert told["last_error"] == "cut once"
    for expected in ("home:websocket", "7.5 events/s stored", "enrich", "3 batches", "cut once"):
        assert expected in table


def test_status_without_any_server_says_what_it_could_not_read(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HA_INGESTOR_BROKER__URL", "redis://127.0.0.1:1/0")

    assert run(["status", "--json"]) == 3

    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert "does `ha-ingestor up` run with the data folder" in printed.err
    assert told["queues"] is None
    assert told["quarantine"] == 0
    unread = {problem.partition(":")[0] for problem in told["problems"]}
    assert unread == {"board", "clocks", "mqtt_out", "pauses", "queues", "store", "weather"}


def test_quarantined_pieces_are_listed_with_reason_and_bytes(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    piece = Quarantined("b1", 0, "home", "mqtt", "bad_json", "ends too early", b'{"a": \xff', 1_700_000_000_000_000_000)
    bootstrap.open_quarantine(settings).put([piece])

    assert run(["quarantine", "list", "--pieces", "--json"]) == 0
    (told,) = printed_lines(capsys)
    assert run(["quarantine", "list", "--pieces"]) == 0
    table = capsys.readouterr().out
    assert run(["quarantine", "list", "--json"]) == 0
    (cause,) = printed_lines(capsys)
    assert run(["quarantine", "show", str(told["id"])]) == 0
    page = capsys.readouterr().out

    assert (told["reason"], told["detail"], told["raw"]) == ("bad_json", "ends too early", '{"a": \\xff')
    assert told["received"] == "2023-11-14T22:13:20+00:00"
    assert "bad_json" in table
    assert (cause["cause"], cause["pieces"], cause["example_id"]) == (told["cause"], 1, told["id"])
    assert "00000000  7b 22 61 22 3a 20 ff" in page


def test_pieces_are_dropped_only_when_that_is_confirmed(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    quarantine = bootstrap.open_quarantine(settings)
    for number, reason in enumerate(("bad_json", "too_long")):
        quarantine.put([Quarantined(f"b{number}", 0, "home", "mqtt", reason, "", b"{}", 1_700_000_000_000_000_000)])

    assert run(["quarantine", "drop"]) != 0
    assert run(["quarantine", "drop", "--all"]) != 0
    assert quarantine.count() == 2
    assert run(["quarantine", "drop", "--cause", quarantine.causes()[0].cause, "--yes"]) == 0
    assert quarantine.count() == 1
    assert run(["quarantine", "drop", "--older-than", "1d", "--yes"]) == 0

    assert quarantine.count() == 0
    assert run(["quarantine", "replay", "--all"]) == 0
    assert "no piece fits" in capsys.readouterr().err


def test_a_replay_that_sends_nothing_is_an_object_too_and_an_unknown_piece_is_said(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["quarantine", "replay", "--all", "--json"]) == 0
    nothing = json.loads(capsys.readouterr().out)
    quarantine = bootstrap.open_quarantine(settings)
    quarantine.put([Quarantined("b1", 0, "home", "mqtt", "bad_json", "", b"{}", 1_700_000_000_000_000_000)])
    (piece,) = quarantine.list(9)

    assert run(["quarantine", "replay", str(piece.id), "99", "--dry-run", "--json"]) == 0
    printed = capsys.readouterr()
    assert run(["quarantine", "replay", "99"]) == 1
    refused = capsys.readouterr().err

    assert (nothing["chosen"], nothing["left"], nothing["events"]) == (0, 0, {})
    assert json.loads(printed.out) == nothing | {"chosen": 1}
    assert "there is no such piece: 99" in printed.err
    assert "1 piece would be sent" in printed.err
    assert "there is no such piece: 99" in refused


def hand_in(settings: Settings, number: int, counts: Counts, *, home: str = "home", hours_ago: int = 0) -> None:
    hour_s = hour_of(time.time_ns()) - 3600 * hours_ago
    page = Page(f"book of {home}", number, home, "mqtt", f"{home}-mqtt", {hour_s: counts}, {})
    RedisLedgerPost(redis.Redis.from_url(settings.state_url)).put([page])


def test_the_ledger_tells_what_became_of_every_event_and_that_it_balances(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_in(
        settings, 1, Counts(frames=1010, settled=1008, received=1009, written=1000, duplicate=5, rejected=3, filtered=1)
    )

    assert run(["ledger", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert run(["ledger"]) == 0
    printed = capsys.readouterr()

    figures = {"received": 1011, "written": 1000, "duplicate": 5, "rejected": 3, "filtered": 1, "in_flight": 2}
    assert told["total"] == {**figures, "lost": 0, "recovered": 0, "balances": True}
    assert [(row["home"], row["source"], row["received"]) for row in told["rows"]] == [("home", "mqtt", 1011)]
    assert told["newest_missing"] == ""
    assert "1,011" in printed.out
    assert printed.err == "everything balances, nothing is lost; 2 frames still in flight\n"


def test_what_was_lost_and_read_back_is_said_and_is_no_failure(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_in(settings, 1, Counts(frames=130, settled=130, received=10, written=10, lost=120))
    assert run(["ledger"]) == 1
    hand_in(settings, 2, Counts(recovered=100))
    assert run(["ledger"]) == 1
    assert "120 events lost, of these 100 read back, first home/mqtt" in capsys.readouterr().err

    hand_in(settings, 3, Counts(recovered=20))
    assert run(["ledger"]) == 0
    printed = capsys.readouterr()

    assert "LOST" not in printed.out
    assert printed.err == "120 events lost, of these 120 read back from history; all else balances\n"
    assert run(["status"]) == 0
    assert "lost 120 (read back 120)" in capsys.readouterr().out


def test_the_ledger_says_in_words_what_is_lost_or_does_not_balance(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HA_INGESTOR_HOMES", '[{"name": "cabin"}]')
    hand_in(settings, 1, Counts(frames=10, settled=10, received=10, written=10, lost=7))
    hand_in(settings, 1, Counts(frames=10, settled=10, received=10, written=8), home="cabin")

    assert run(["ledger", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert run(["ledger"]) == 1
    printed = capsys.readouterr()

    assert told["verdict"].startswith("1 of 2 rows not in balance, first cabin/mqtt in the hour of ")
    assert "; 7 events lost, first home/mqtt in the hour of " in told["verdict"]
    assert [row["balances"] for row in told["rows"]] == [False, True]
    assert "DOES NOT BALANCE" in printed.out
    assert "LOST" in printed.out


def test_the_ledger_ends_with_code_1_where_events_are_lost_though_it_balances(settings: Settings) -> None:
    hand_in(settings, 1, Counts(frames=10, settled=10, received=10, written=10, lost=1), hours_ago=50)

    assert run(["ledger"]) == 0
    assert run(["ledger", "--since", "3d"]) == 1


def test_the_ledger_is_asked_for_a_home_and_a_time(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    hand_in(settings, 1, Counts(frames=1, settled=1, received=1, written=1), hours_ago=50)

    assert run(["ledger", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == []
    assert run(["ledger", "--since", "3d", "--home", "home", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 1
    assert run(["ledger", "--home", "nowhere"]) != 0


def test_the_ledger_without_the_state_server_says_that_the_newest_is_missing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HA_INGESTOR_BROKER__URL", "redis://127.0.0.1:1/0")

    assert run(["ledger"]) == 0

    assert "the newest counts are not among these" in capsys.readouterr().err


def test_status_tells_the_last_day_of_the_ledger_and_counts_that_wait(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_in(settings, 1, Counts(frames=9, settled=8, received=8, written=7, lost=1))
    assert run(["ledger"]) == 1
    StatusBoard(redis.Redis.from_url(settings.state_url)).put(
        "listener", "home:mqtt", {"connected": True, "intake": {"ledger_waiting_s": 75.0}}
    )
    capsys.readouterr()

    assert run(["status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["ledger"]
    assert run(["status"]) == 0
    table = capsys.readouterr().out

    assert told == {"received": 10, "in_flight": 1, "lost": 1, "recovered": 0, "unbalanced": 1, "waiting_s": 75.0}
    assert "24 h: received 10 · lost 1 · in flight 1 · 1 row DOES NOT BALANCE" in table
    assert "counts wait for the database for 75 s" in table


def test_topics_that_were_heard_and_published_are_printed_and_those_beyond_the_limit_counted(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    board = TopicsBoard(redis.Redis.from_url(settings.state_url))
    heard = [["ha/light/hall/state", "statestream", 1200, 1_795_229_244_000_000], ["noise/x", "ignored", 1, 1]]
    board.tell("home:mqtt", {"home": "home", "listener": "mqtt", "topics": heard, "other_messages": 3})
    board.tell("away:mqtt", {"home": "away", "listener": "mqtt", "topics": [["elsewhere", "ignored", 9, 1]]})
    board.tell(OUT, {"connected": True, "topics": [{"topic": "out/{home}", "kind": "messages", "count": 4}]})

    assert run(["topics", "--home", "home", "--limit", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert run(["topics", "--limit", "1"]) == 0
    printed = capsys.readouterr()

    assert [one["topic"] for one in told["seen"]] == ["ha/light/hall/state"]
    assert (told["seen_in_all"], told["other_messages"], told["connected"]) == (2, 3, True)
    for expected in ("ha/light/hall/state", "1,200", "out/{home}"):
        assert expected in printed.out
    assert "3 topics heard, 2 not shown (--limit); 3 messages on further topics" in printed.err
    assert run(["topics", "--home", "nowhere"]) == 2
