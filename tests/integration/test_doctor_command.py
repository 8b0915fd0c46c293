"""`ha-ingestor doctor` against real servers: what it finds, and what it says to do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
import redis
from paho.mqtt.enums import CallbackAPIVersion

from ingestor.cli.main import run
from ingestor.queue.names import TaskType
from ingestor.queue.pauses import Pauses
from ingestor.queue.status_board import StatusBoard
from ingestor.queue.topics_board import OUT, TopicsBoard
from ingestor.storage.database import open_database
from ingestor.webhooks.book_sql import SqlWebhookBook
from ingestor.webhooks.model import Hook, Parcel, Wanted
from ingestor.webhooks.secrets import FOLDER
from tests.conftest import StartServer
from tests.integration.websocket_listener_home import ScriptedHome
from tests.servers_brokers import Mosquitto, RedisServer
from workers.supervisor import lock_data_dir

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HA_INGESTOR_DATA_DIR", str(tmp_path / "data"))


class Doctor:
    """Runs the command with settings and returns its findings by subject."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.code = 0

    def __call__(self, **variables: str) -> dict[str, dict[str, str]]:
        for name, value in variables.items():
            self._monkeypatch.setenv(f"HA_INGESTOR_{name}", value)
        self._capsys.readouterr()
        self.code = run(["doctor", "--json"])
        found: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        assert found["ok"] == (self.code == 0)
        return {finding["subject"]: finding for finding in found["findings"]}


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    return Doctor(monkeypatch, capsys)


def test_a_broker_that_drops_what_it_has_no_room_for_fails(doctor: Doctor, start_server: StartServer) -> None:
    server = start_server(RedisServer, extra=["--maxmemory-policy", "allkeys-lru", "--appendonly", "no"])

    found = doctor(BROKER__URL=server.url)

    assert found["broker"]["verdict"] == "ok"
    assert found["broker: eviction"]["verdict"] == "failed"
    assert "noeviction" in found["broker: eviction"]["advice"]
    assert found["broker: persistence"]["verdict"] == "warning"
    assert doctor.code == 1


def test_a_broker_that_is_away_fails_with_what_to_do(doctor: Doctor) -> None:
    found = doctor(BROKER__URL="redis://127.0.0.1:1/0")

    assert found["broker"]["verdict"] == "failed"
    assert "HA_INGESTOR_BROKER__URL" in found["broker"]["advice"]
    assert found["state server"]["verdict"] == "failed"
    assert doctor.code == 1


def test_before_the_first_start_the_own_broker_is_no_failure(doctor: Doctor, tmp_path: Path) -> None:
    """The tutorial says: `doctor`, then `make run`."""
    found = doctor()

    for subject in ("broker", "state server"):
        assert found[subject]["verdict"] == "warning"
        assert "does not run" in found[subject]["says"]
        assert "ha-ingestor up" in found[subject]["advice"]
    assert doctor.code == 0

    with lock_data_dir(tmp_path / "data"):
        running = doctor()

    assert (running["broker"]["verdict"], running["state server"]["verdict"]) == ("failed", "failed")
    assert doctor.code == 1


def test_a_pause_is_told_with_who_made_it_and_how_it_ends(doctor: Doctor, start_server: StartServer) -> None:
    server = start_server(RedisServer)
    before = doctor(BROKER__URL=server.url)
    state = redis.Redis.from_url(server.url)
    Pauses(state).pause([TaskType.WRITE, TaskType.QUALITY], "anna@host")
    state.close()

    found = doctor()

    assert "pauses" not in before
    assert found["pauses"]["verdict"] == "warning"
    assert "write is paused by anna@host since 20" in found["pauses"]["says"]
    assert "`ha-ingestor resume write quality`" in found["pauses"]["advice"]
    assert doctor.code == 0


def test_a_whole_installation_that_works_has_nothing_failed(doctor: Doctor, redis_server: RedisServer) -> None:
    found = doctor(BROKER__URL=redis_server.url)

    assert [subject for subject, finding in found.items() if finding["verdict"] == "failed"] == []
    assert found["data folder"]["verdict"] == "ok"
    assert found["broker: eviction"]["verdict"] == "ok"
    assert found["state server"]["verdict"] == "ok"
    assert found["store"]["verdict"] == "ok"
    assert found["database"]["verdict"] == "ok"
    assert found["homes"]["verdict"] == "ok"
    assert "`ha-ingestor up` runs the demo home" in found["homes"]["says"]
    assert doctor.code == 0


def test_a_demo_home_that_runs_is_no_missing_home(doctor: Doctor, start_server: StartServer) -> None:
    server = start_server(RedisServer)
    board = StatusBoard(redis.Redis.from_url(server.url))

    board.put("listener", "home:websocket", {"connected": True})
    connected = doctor(BROKER__URL=server.url)["homes"]
    board.put("listener", "home:websocket", {"connected": False, "last_error": "connection refused"})
    lost = doctor()["homes"]
    switched_off = doctor(DEMO__ENABLED="false")["homes"]

    assert (connected["verdict"], connected["says"]) == ("ok", "the demo home runs and is connected")
    assert (lost["verdict"], lost["says"]) == ("warning", "the demo home is not connected: connection refused")
    assert switched_off["verdict"] == "warning"


def test_a_token_is_tried_once_and_its_rights_are_told(doctor: Doctor, redis_server: RedisServer) -> None:
    with ScriptedHome() as home:
        home.answers = {
            "auth/current_user": {"name": "Anna", "is_admin": False},
            "recorder/info": {"recording": True, "backlog": 0},
        }

        found = doctor(BROKER__URL=redis_server.url, HOMEASSISTANT__URL=home.url, HOMEASSISTANT__TOKEN="token")

    assert found["home: Home Assistant"]["verdict"] == "ok"
    assert "2026.2.3" in found["home: Home Assistant"]["says"]
    assert found["home: rights"]["verdict"] == "warning"
    assert "Anna" in found["home: rights"]["says"]
    assert found["home: recorder"]["verdict"] == "ok"


def test_a_refused_token_is_not_tried_again(doctor: Doctor, redis_server: RedisServer) -> None:
    with ScriptedHome(refuse_token=True) as home:
        found = doctor(BROKER__URL=redis_server.url, HOMEASSISTANT__URL=home.url, HOMEASSISTANT__TOKEN="token")

        assert len(home.lines) == 1
    assert found["home: Home Assistant"]["verdict"] == "failed"
    assert "HA_INGESTOR_HOMEASSISTANT__TOKEN" in found["home: Home Assistant"]["advice"]
    assert doctor.code == 1


def test_an_mqtt_broker_that_keeps_all_is_well_on_both_versions(doctor: Doctor, mosquitto: Mosquitto) -> None:
    for protocol in ("5", "3.1.1"):
        found = doctor(MQTT__URL=mosquitto.url, MQTT__PROTOCOL=protocol)

        assert found["home: MQTT"]["verdict"] == "ok"
        assert found["home: MQTT keeping"]["verdict"] == "ok", found["home: MQTT keeping"]
        assert found["home: MQTT persistence"]["verdict"] == "unknown"


def test_an_mqtt_broker_with_its_defaults_is_found_to_drop(doctor: Doctor, start_server: StartServer) -> None:
    broker = start_server(Mosquitto, base=["max_queued_messages 1000"])

    found = doctor(MQTT__URL=broker.url)

    assert found["home: MQTT keeping"]["verdict"] == "failed"
    assert "max_queued_messages 0" in found["home: MQTT keeping"]["advice"]


def test_wrong_mqtt_credentials_and_a_dead_address_are_told_apart(doctor: Doctor, start_server: StartServer) -> None:
    broker = start_server(Mosquitto, anonymous=False)

    refused = doctor(MQTT__URL=broker.url, MQTT__USERNAME="nobody", MQTT__PASSWORD="wrong")["home: MQTT"]
    dead = doctor(MQTT__URL="mqtt://127.0.0.1:1")["home: MQTT"]

    assert (refused["verdict"], dead["verdict"]) == ("failed", "failed")
    assert "HA_INGESTOR_MQTT__PASSWORD" in refused["advice"]
    assert "HA_INGESTOR_MQTT__URL" in dead["advice"]


@pytest.mark.parametrize(("with_times", "verdict"), [(False, "warning"), (True, "ok")])
def test_a_statestream_without_times_is_found(
    doctor: Doctor, mosquitto: Mosquitto, with_times: bool, verdict: str
) -> None:
    base = f"doctor-{verdict}"
    publish(mosquitto, f"{base}/sensor/a/state", "1")
    if with_times:
        publish(mosquitto, f"{base}/sensor/a/last_updated", "2024-03-01T12:00:00+00:00")

    found = doctor(MQTT__URL=mosquitto.url, MQTT__STATESTREAM_BASE=base)

    assert found["home: statestream"]["verdict"] == verdict
    assert with_times or "publish_timestamps" in found["home: statestream"]["advice"]


def publish(broker: Mosquitto, topic: str, payload: str) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    client.publish(topic, payload, qos=1, retain=True).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def test_the_table_says_what_to_do_and_no_password(
    doctor: Doctor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HA_INGESTOR_BROKER__URL", "redis://:geheim@127.0.0.1:1/0")

    assert run(["doctor"]) == 1

    printed = capsys.readouterr()
    assert "FAILED" in printed.out
    assert "geheim" not in printed.out + printed.err


def test_webhooks_that_fail_were_disabled_or_have_dead_letters_are_told_each(
    doctor: Doctor, redis_server: RedisServer, tmp_path: Path
) -> None:
    quiet = doctor(BROKER__URL=redis_server.url)["webhooks"]
    book = SqlWebhookBook(open_database(f"sqlite:///{tmp_path / 'data' / 'metadata.sqlite'}"))
    for name, enabled, why in (("wh_fails", True, ""), ("wh_gone", False, "it answers 410"), ("wh_off", False, "")):
        book.create(Hook(name, "https://example.org", Wanted(), enabled=enabled, why=why), 10)
    secrets = tmp_path / "data" / FOLDER
    secrets.mkdir()
    for name in ("wh_fails", "wh_off"):
        (secrets / f"{name}.json").write_text("{broken")
    failing = replace(book.find("wh_fails"), failures=3, last_error="no answer")
    book.add("wh_gone", [Parcel("msg_1", "messages", 1, b"{}")], "", 1)
    book.tidy("wh_gone", 10, give_up_after_us=1, keep_dead=9, keep_delivered=9)
    book.settle(failing, [], back=False)

    found = doctor()

    assert (quiet["verdict"], quiet["says"]) == ("ok", "none registered")
    assert found["webhooks"]["says"] == "3 registered · 1 failing · 2 disabled · 1 given up"
    assert found["webhook wh_fails"]["says"] == "the last 3 tries failed: no answer; 0 deliveries waiting"
    assert "webhooks enable wh_gone" in found["webhook wh_gone"]["advice"]
    assert "webhooks replay wh_gone" in found["webhook wh_gone: dead letters"]["advice"]
    assert "webhook wh_off" not in found
    assert found["webhook wh_fails: secret"]["says"].endswith("nothing is sent to it")
    assert "webhooks rotate wh_fails" in found["webhook wh_fails: secret"]["advice"]
    assert "webhook wh_off: secret" not in found
    assert doctor.code == 0


def test_mqtt_out_is_told_as_connected_or_with_the_reason_why_not(doctor: Doctor, redis_server: RedisServer) -> None:
    assert "MQTT out" not in doctor(BROKER__URL=redis_server.url)
    state = redis.Redis.from_url(redis_server.url)
    board = TopicsBoard(state)
    told: dict[str, dict[str, str]] = {}

    told["nobody"] = doctor(MQTT_OUT__URL="mqtt://127.0.0.1:1")["MQTT out"]
    board.tell(OUT, {"connected": False, "last_error": "the broker cannot be reached"})
    told["away"] = doctor()["MQTT out"]
    board.tell(OUT, {"connected": True, "by_event": {"new": 1200}})
    told["up"] = doctor()["MQTT out"]
    board.tell(OUT, {"connected": True, "by_event": {"new": 1}, "refused": 2, "last_refused": "9 bytes on a/b: no"})
    told["refuses"] = doctor()["MQTT out"]
    state.close()

    assert told["nobody"]["says"] == "nothing publishes"
    assert told["away"]["says"] == "not connected: the broker cannot be reached"
    assert (told["up"]["verdict"], told["up"]["says"]) == ("ok", "connected; 1,200 messages published")
    assert told["refuses"]["verdict"] == "warning"
    assert told["refuses"]["says"] == "connected; 1 message published; 2 passed over, the last: 9 bytes on a/b: no"
