"""`ha-ingestor webhooks`: registers, shows and removes; a ping is sent by the API that runs beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ingestor import bootstrap
from ingestor.cli.main import run
from ingestor.webhooks.model import Parcel
from ingestor.webhooks.schedule import now_us
from tests.fakes.receiver import receiving
from tests.integration.api_bench import served
from tests.integration.live_home import LiveHome
from tests.servers import wait_until
from tests.servers_brokers import ValkeyServer

Command = Callable[..., str]
pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def ran(*words: str, code: int = 0) -> str:
        assert run(["--data-dir", str(tmp_path), "webhooks", *words]) == code
        return capsys.readouterr().out

    return ran


def test_a_webhook_is_added_shown_changed_and_removed(command: Command, tmp_path: Path) -> None:
    words = (
        "--type",
        "event.*",
        "--area",
        "Küche",
        "--domain",
        "light",
        "--domain",
        "switch",
        "--batch",
        "5",
        "--late",
    )
    made = json.loads(command("add", "https://example.org/hook", *words, "--batch", "5", "--late", "--json"))

    shown = json.loads(command("show", made["id"], "--json"))
    assert made["secret"].startswith("whsec_")
    assert made["secret"] not in json.dumps(shown)
    assert {kind: values for kind, values in shown["filter"].items() if values} == {
        "type": ["event.*"],
        "area": ["Küche"],
        "domain": ["light", "switch"],
    }
    assert (shown["batch"], shown["late"], shown["enabled"]) == (5, True, True)
    assert "https://example.org/hook" in command("list")
    assert "domain=light,switch" in command("show", made["id"])

    command("disable", made["id"])
    assert not json.loads(command("--json"))[0]["enabled"]
    command("enable", made["id"])
    assert command("rotate", made["id"]).strip() not in ("", made["secret"])
    command("remove", made["id"])
    assert json.loads(command("--json")) == []
    command("show", made["id"], code=1)
    for url in ("http://127.0.0.1/", "notaurl"):
        command("add", url, code=2)
    command("add", "https://example.org/hook", "--home", "nobody", code=1)
    assert not list((tmp_path / "webhook-secrets").iterdir())
    noted = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [one["what"] for one in noted] == ["create", "change", "change", "rotate the secret", "remove"]
    assert {(one["action"], one["webhook"]) for one in noted} == {("webhooks:change", made["id"])}


def test_what_was_given_up_is_listed_and_replayed(command: Command, tmp_path: Path) -> None:
    made = json.loads(command("add", "https://example.org/hook", "--json"))
    settings = LiveHome(tmp_path, "redis://127.0.0.1:1").settings
    book = bootstrap.open_webhook_desk(settings).book
    book.add(made["id"], [Parcel(f"msg_{one}", "messages", 1, b"{}") for one in "ab"], "", 1)
    book.tidy(made["id"], 10, give_up_after_us=1, keep_dead=9, keep_delivered=9)

    assert [one["id"] for one in json.loads(command("deliveries", made["id"], "--state", "dead", "--json"))] == [
        "msg_b",
        "msg_a",
    ]
    command("replay", made["id"], "msg_a")
    assert "msg_a" not in command("deliveries", made["id"], "--state", "dead")
    command("replay", made["id"])
    assert book.counted(made["id"]).waiting == 2
    command("replay", made["id"], "msg_a", code=1)


def test_a_ping_tells_what_came_of_it(
    command: Command, tmp_path: Path, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HA_INGESTOR_WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8")
    home = LiveHome(tmp_path, valkey_server.url, more={"webhooks": {"allow_networks": ["127.0.0.0/8"]}})
    with receiving() as receiver, served(home.app):
        made = json.loads(command("add", receiver.url, "--json"))

        assert json.loads(command("ping", made["id"], "--json"))["state"] == "delivered"
        receiver.answer = lambda _: (500, {})
        assert json.loads(command("ping", made["id"], "--json", code=1))["status"] == 500


def test_what_the_command_line_enables_is_tried_at_once(
    command: Command, tmp_path: Path, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HA_INGESTOR_WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8")
    monkeypatch.setattr("ingestor.webhooks.deliverer._LOOK_S", 3600.0)
    monkeypatch.setattr("ingestor.webhooks.deliverer._LOOK_WITHOUT_S", 3600.0)
    home = LiveHome(tmp_path, valkey_server.url, more={"webhooks": {"allow_networks": ["127.0.0.0/8"]}})
    with receiving() as receiver, served(home.app):
        made = json.loads(command("add", receiver.url, "--type", "event.*", "--json"))
        assert json.loads(command("ping", made["id"], "--json"))["state"] == "delivered"
        command("disable", made["id"])
        waits = [Parcel("msg_1", "messages", 1, b"{}")]
        bootstrap.open_webhook_desk(home.settings).book.add(made["id"], waits, "", now_us())

        command("enable", made["id"])

        wait_until(lambda: receiver.posted[-1].id == "msg_1", timeout_s=60, what="what waited came")
