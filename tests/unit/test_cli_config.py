"""`ha-ingestor config …`, and what every command does with bad settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingestor.cli.main import run
from ingestor.reading.config import mask
from ingestor.settings_keys import all_keys
from ingestor.settings_sources import load_settings

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")

_SECRETS = {
    "HA_INGESTOR_HOMEASSISTANT__TOKEN": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.wxyz",
    "HA_INGESTOR_MQTT__URL": "mqtt://user:geheimes-wort@host:1883",
    "HA_INGESTOR_MQTT__PASSWORD": "kurz",
    "HA_INGESTOR_BROKER__URL": "redis://:geheimes-wort@host:6379/0",
    "HA_INGESTOR_STORAGE__URL": "influxdb2://host:8086/bucket?org=x&token=geheimes-wort",
    "HA_INGESTOR_HOMES": '[{"name": "cabin", "homeassistant": {"token": "geheimes-wort-der-huette"}}]',
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HA_INGESTOR_DATA_DIR", str(tmp_path / "kept"))


@pytest.mark.parametrize("arguments", [["config", "show"], ["config", "show", "--json"]])
def test_show_masks_every_secret(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in _SECRETS.items():
        monkeypatch.setenv(name, value)

    code = run(arguments)

    printed = capsys.readouterr()
    assert code == 0
    for secret in ("eyJhbGciOi", "geheimes-wort", "kurz"):
        assert secret not in printed.out + printed.err
    assert "****wxyz" in printed.out
    assert "redis://:****@host:6379/0" in printed.out


def test_show_names_every_setting_and_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HA_INGESTOR_API__PORT", "8081")

    run(["--set", "flower.port=5556", "config", "show", "--json"])

    shown = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(shown) == [key.name for key in all_keys()]
    assert shown["api.port"] == {
        "key": "api.port",
        "value": 8081,
        "origin": "environment HA_INGESTOR_API__PORT",
        "variable": "HA_INGESTOR_API__PORT",
    }
    assert (shown["flower.port"]["value"], shown["flower.port"]["origin"]) == (5556, "command line")


def test_a_short_secret_shows_nothing_and_a_long_one_its_end() -> None:
    assert mask("geheim") == "****"
    assert mask("fifteen-letters") == "****"
    assert mask("sixteen-letters!") == "****ers!"


def test_init_writes_a_file_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ha-ingestor.toml"

    assert run(["config", "init"]) == 0
    assert run(["config", "check"]) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("# mine")
    assert run(["config", "init"]) == 2
    assert path.read_text() == "# mine"
    assert "--force" in capsys.readouterr().err
    assert run(["config", "init", "--force"]) == 0
    assert "[homeassistant]" in path.read_text()


def test_check_tells_all_faults_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ha-ingestor.toml").write_text("[api]\nport = 0\nhost = 5\n")

    code = run(["config", "check", "--json"])

    found = json.loads(capsys.readouterr().out)
    assert code == 2
    assert not found["ok"]
    assert [fault["key"] for fault in found["faults"]] == ["api.host", "api.port"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["up"],
        ["listen", "websocket"],
        ["listen", "mqtt"],
        ["worker", "write"],
        ["beat"],
        ["api"],
        ["flower"],
        ["demo"],
        ["doctor"],
        ["events"],
        ["status"],
        ["quarantine", "list"],
        ["config", "show"],
        ["config", "check"],
    ],
)
def test_every_command_refuses_bad_settings_with_all_faults_and_code_2(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HA_INGESTOR_API__PORT", "abc")
    monkeypatch.setenv("HA_INGESTOR_BATCH__MAX_FRAMES", "0")

    code = run(arguments)

    printed = capsys.readouterr()
    assert code == 2
    assert "2 settings are wrong" in printed.err
    assert "api.port = 'abc'" in printed.err
    assert "batch.max_frames = '0'" in printed.err
    assert not printed.out


def test_what_the_command_line_says_reaches_the_processes_that_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("from a file")
    monkeypatch.setenv("HA_INGESTOR_STORAGE__TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("HA_INGESTOR_STORAGE__TOKEN", "")
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, arguments: started.append(arguments))

    run(["--data-dir", "here", "--set", "storage.token=typed", "--set", "workers.enrich=3", "worker", "enrich"])

    handed_down = load_settings(cwd=tmp_path).settings
    assert started[0][1:3] == ["-m", "workers.worker"]
    assert started[0][started[0].index("-c") + 1] == "3"
    assert handed_down.data_dir == tmp_path / "here"
    assert handed_down.workers.enrich == 3
    assert handed_down.storage.token is not None
    assert handed_down.storage.token.get_secret_value() == "typed"


def test_a_wrong_argument_is_code_2_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["worker", "no-such-type"]) == 2
    assert run(["--set", "api.port", "config", "show"]) == 2
    assert run(["listen", "websocket", "--home", "no-such-home"]) == 2
    assert "no-such-home" in capsys.readouterr().err


def test_a_listener_without_address_says_which_variable_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["listen", "websocket"]) == 2
    assert "HA_INGESTOR_HOMEASSISTANT__URL" in capsys.readouterr().err


def test_the_installed_command_ends_with_the_code_too(tmp_path: Path) -> None:
    environment = {**os.environ, "HA_INGESTOR_API__PORT": "abc", "HA_INGESTOR_DATA_DIR": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-m", "ingestor", "config", "check"],
        env={**environment, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "api.port = 'abc'" in done.stderr
