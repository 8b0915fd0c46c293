"""Where settings come from, which source wins, and what is said about faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from ingestor import errors
from ingestor.cli.config_file import as_toml, commented_file
from ingestor.settings import Settings, StorageSettings
from ingestor.settings_faults import Fault
from ingestor.settings_keys import Key, all_keys, key_named
from ingestor.settings_profiles import PROFILES
from ingestor.settings_sources import Loaded, load_settings, try_settings
from ingestor.settings_variables import as_text


def faults(environ: dict[str, str], cwd: Path, overrides: dict[str, Any] | None = None) -> list[Fault]:
    outcome = try_settings(overrides, environ=environ, cwd=cwd)
    assert not isinstance(outcome, Loaded), "these settings should be wrong"
    return outcome


def test_each_source_covers_the_ones_below_it(tmp_path: Path) -> None:
    toml = '[api]\nport = 1\nhost = "toml"\n[log]\nlevel = "debug"\n[flower]\nport = 1\n'
    (tmp_path / "ha-ingestor.toml").write_text(toml)
    (tmp_path / ".env").write_text("HA_INGESTOR_API__PORT=2\nHA_INGESTOR_LOG__LEVEL=warning\nOTHER=x\n")
    environ = {"HA_INGESTOR_API__PORT": "3", "HA_INGESTOR_FLOWER__PORT": "3"}

    loaded = load_settings({"flower.port": 4}, environ=environ, cwd=tmp_path)

    assert loaded.settings.flower.port == 4
    assert loaded.settings.api.port == 3
    assert loaded.settings.log.level == "warning"
    assert loaded.settings.api.host == "toml"
    assert loaded.settings.flower.user == "admin"
    assert loaded.origins["flower.port"] == "command line"
    assert loaded.origins["api.port"] == "environment HA_INGESTOR_API__PORT"
    assert loaded.origins["log.level"] == ".env HA_INGESTOR_LOG__LEVEL"
    assert loaded.origins["api.host"] == str(tmp_path / "ha-ingestor.toml")
    assert loaded.origins["flower.user"] == "default"


def test_a_file_variable_reads_the_value_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("long-lived\n")
    environ = {
        "HA_INGESTOR_HOMEASSISTANT__TOKEN_FILE": str(tmp_path / "token"),
        "HA_INGESTOR_MQTT__CA_FILE": "/etc/ca.pem",
    }

    loaded = load_settings(environ=environ, cwd=tmp_path)

    assert loaded.settings.homeassistant.token is not None
    assert loaded.settings.homeassistant.token.get_secret_value() == "long-lived"
    assert loaded.origins["homeassistant.token"] == "environment HA_INGESTOR_HOMEASSISTANT__TOKEN_FILE"
    assert loaded.settings.mqtt.ca_file == Path("/etc/ca.pem")


@pytest.mark.parametrize(
    ("url", "token", "held"),
    [
        ("influxdb2://h/b?org=o", "a-token==\n", "a-token=="),
        ("influxdb3://h/d", " a-token ", "a-token"),
        ("influxdb3://h/d", "two words", None),
        ("influxdb2://h/b?org=o", "a\nX-Header: b", None),
        ("influxdb3://h/d", "t\u20acken", None),
        ("influxdb1://h/d", "user:p\u20acss word\n", "user:p\u20acss word"),
        ("influxdb1://h/d", "\n", ""),
    ],
)
def test_a_token_of_the_store_can_be_sent_in_a_header(url: str, token: str, held: str | None, tmp_path: Path) -> None:
    environ = {"HA_INGESTOR_STORAGE__URL": url, "HA_INGESTOR_STORAGE__TOKEN": token}

    if held is None:
        found = faults(environ, tmp_path)
        assert [fault.key for fault in found] == ["storage.token"]
        assert token not in str(found)
    else:
        told = StorageSettings.model_validate({"url": url, "token": token}).token
        assert (told.get_secret_value() if told else "") == held


def test_a_value_and_its_file_variable_together_are_a_fault_whichever_comes_first(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x")
    pair = {
        "HA_INGESTOR_STORAGE__TOKEN": "y",
        "HA_INGESTOR_STORAGE__TOKEN_FILE": str(tmp_path / "token"),
    }

    for environ in (pair, dict(reversed(pair.items()))):
        found = faults(environ, tmp_path)

        assert [fault.key for fault in found] == ["HA_INGESTOR_STORAGE__TOKEN_FILE"]


def test_all_faults_are_named_at_once_with_key_reason_expectation_and_origin(tmp_path: Path) -> None:
    toml = '[api]\nhot = "x"\n[queue]\nlow_water = 900\n[[homes]]\nname = "home"\n[homes.mqtt]\nkeepalive_s = 1\n'
    (tmp_path / "ha-ingestor.toml").write_text(toml)
    (tmp_path / ".env").write_text("HA_INGESTOR_LOG__LEVLE=info\n")
    environ = {
        "HA_INGESTOR_API__PORT": "abc",
        "HA_INGESTOR_HOMEASSISTANT_URL": "http://one-underscore",
        "HA_INGESTOR_MQTT__TOPICS": '[{"topic":',
        "HA_INGESTOR_STORAGE__TOKEN_FILE": str(tmp_path / "absent"),
    }

    with pytest.raises(errors.InvalidSettings) as caught:
        load_settings({"storage.schema": "both-of-them"}, environ=environ, cwd=tmp_path)

    message = str(caught.value)
    assert message.startswith("10 settings are wrong:")
    for expected in (
        "api.port = 'abc': is not a whole number",
        "expected: a whole number from 1 to 65,535",
        "from: environment HA_INGESTOR_API__PORT",
        "did you mean HA_INGESTOR_HOMEASSISTANT__URL?",
        "did you mean api.host?",
        "did you mean HA_INGESTOR_LOG__LEVEL?",
        "mqtt.topics = '[{\"topic\":': is not a list",
        "HA_INGESTOR_STORAGE__TOKEN_FILE: cannot be read (No such file or directory)",
        "storage.schema = 'both-of-them': is not one of the choices",
        "queue: low_water (900) is not below high_water (400)",
        "homes.0.mqtt.keepalive_s = 1: is too small",
        "two homes have the same name",
        f"from: {tmp_path / 'ha-ingestor.toml'}",
    ):
        assert expected in message


def test_a_check_across_groups_speaks_although_another_value_is_wrong(tmp_path: Path) -> None:
    environ = {"HA_INGESTOR_API__PORT": "abc", "HA_INGESTOR_HOMES": '[{"name": "home"}]'}

    found = faults(environ, tmp_path)

    assert [fault.key for fault in found] == ["api.port", "settings"]
    assert "two homes have the same name" in found[1].problem


def test_no_fault_shows_a_secret(tmp_path: Path) -> None:
    environ = {
        "HA_INGESTOR_MQTT__URL": "http://user:geheim@host",
        "HA_INGESTOR_STORAGE__URL": "influx://host/bucket?token=geheim",
        "HA_INGESTOR_HOMEASSISTANT__TOKEN": "geheim",
        "HA_INGESTOR_HOMEASSISTANT": '{"token": ["geheim"]}',
        "HA_INGESTOR_FLOWER": '{"password": {"a": "geheim"}}',
    }

    found = faults(environ, tmp_path)

    assert {fault.key for fault in found} >= {"mqtt.url", "storage.url", "flower.password"}
    assert not [fault for fault in found if "geheim" in str(fault)]


@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
def test_a_number_without_end_or_none_at_all_is_a_fault(value: str, tmp_path: Path) -> None:
    (tmp_path / "ha-ingestor.toml").write_text(
        f"[journal]\nresend_after_s = {value}\n[weather]\nheating_base_c = {value}\n"
    )

    faults = try_settings(environ={}, cwd=tmp_path)

    assert not isinstance(faults, Loaded)
    assert [fault.key for fault in faults] == ["journal.resend_after_s", "weather.heating_base_c"]


def test_a_token_loses_the_end_of_its_line_and_has_nothing_else_in_it_that_none_has(tmp_path: Path) -> None:
    def load(text: str) -> Loaded | list[Fault]:
        return try_settings({"homeassistant.token": text}, environ={}, cwd=tmp_path)

    copied = load(" t0ken\n")

    assert isinstance(copied, Loaded)
    assert copied.settings.homeassistant.token == SecretStr("t0ken")
    assert not any(isinstance(load(text), Loaded) for text in (" ", "t0k en", "t0k\x1ben", "tökén"))


def test_lists_come_as_json_as_words_and_as_toml(tmp_path: Path) -> None:
    (tmp_path / "ha-ingestor.toml").write_text(
        '[[mqtt.topics]]\ntopic = "a/{b}"\nentity_id = "sensor.{b}"\n[[homes]]\nname = "cabin"\nmqtt.url = "mqtt://c"\n'
    )
    environ = {
        "HA_INGESTOR_MQTT__STATESTREAM_DOMAINS": "light, switch",
        "HA_INGESTOR_HOMEASSISTANT__EVENT_TYPES": '["state_changed", "zha_event"]',
    }

    settings = load_settings(environ=environ, cwd=tmp_path).settings

    assert settings.mqtt.statestream_domains == ("light", "switch")
    assert settings.homeassistant.event_types == ("state_changed", "zha_event")
    assert settings.mqtt.topics[0].entity_id == "sensor.{b}"
    assert [home.name for home in settings.all_homes()] == ["home", "cabin"]


def test_homes_in_the_environment_replace_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "ha-ingestor.toml").write_text('[[homes]]\nname = "cabin"\n')

    loaded = load_settings(environ={"HA_INGESTOR_HOMES": '[{"name": "boat"}]'}, cwd=tmp_path)

    assert [home.name for home in loaded.settings.homes] == ["boat"]
    assert loaded.origins["homes"] == "environment HA_INGESTOR_HOMES"


def test_an_empty_variable_switches_off_what_may_be_absent_and_else_counts_as_not_set(tmp_path: Path) -> None:
    environ = {"HA_INGESTOR_MQTT__STATESTREAM_BASE": "", "HA_INGESTOR_API__PORT": "", "HA_INGESTOR_MQTT__TOPICS": ""}

    loaded = load_settings(environ=environ, cwd=tmp_path)

    assert loaded.settings.mqtt.statestream_base is None
    assert loaded.settings.api.port == 8080
    assert loaded.origins["api.port"] == "default"


def test_what_orchestrators_and_tests_set_is_no_fault_but_a_typing_error_is(tmp_path: Path) -> None:
    environ = {
        "HA_INGESTOR_PORT": "tcp://10.0.0.1:8080",
        "HA_INGESTOR_API_PORT_8080_TCP_ADDR": "10.0.0.1",
        "HA_INGESTOR_API_SERVICE_HOST": "10.0.0.1",
        "HA_INGESTOR_SERVICE_PORT_HTTP": "8080",
        "HA_INGESTOR_TEST_INFLUXDB_URL": "http://x",
    }

    assert isinstance(try_settings(environ=environ, cwd=tmp_path), Loaded)
    assert [fault.key for fault in faults({**environ, "HA_INGESTOR_APIPORT": "1"}, tmp_path)] == ["HA_INGESTOR_APIPORT"]


def test_a_dollar_in_a_dotenv_password_stays_a_dollar(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HA_INGESTOR_MQTT__PASSWORD='a$b${HOME}'\n")

    password = load_settings(environ={}, cwd=tmp_path).settings.mqtt.password

    assert password is not None
    assert password.get_secret_value() == "a$b${HOME}"


@pytest.mark.parametrize(
    ("content", "problem"), [(b"api = {", "is not TOML"), (b"\xff\xfe", "cannot be read"), (None, "cannot be read")]
)
def test_a_settings_file_that_cannot_be_read_is_a_fault(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)

    found = faults({"HA_INGESTOR_CONFIG": "mine.toml", "HA_INGESTOR_API__PORT": "0"}, tmp_path)

    assert {fault.key for fault in found} == {str(path), "api.port"}
    assert any(problem in fault.problem for fault in found)


def test_the_data_folder_is_as_set_else_the_marked_one_else_the_platforms(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    unmarked = load_settings(environ={}, cwd=tmp_path).settings.data_dir
    (tmp_path / "data" / ".ha-ingestor").touch()

    marked = load_settings(environ={}, cwd=tmp_path).settings.data_dir
    named = load_settings(environ={"HA_INGESTOR_DATA_DIR": "elsewhere"}, cwd=tmp_path).settings.data_dir

    assert unmarked.name == "ha-ingestor"
    assert unmarked.is_absolute()
    assert marked == tmp_path / "data"
    assert named == tmp_path / "elsewhere"


def test_loading_reads_nothing_that_it_was_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HA_INGESTOR_API__PORT", "9999")

    assert load_settings(environ={}, cwd=tmp_path).settings.api.port == 8080


def test_the_commented_file_is_valid_and_says_every_setting(tmp_path: Path) -> None:
    path = tmp_path / "ha-ingestor.toml"
    path.write_text(commented_file())
    assert load_settings(environ={}, cwd=tmp_path).settings == load_settings(environ={}, cwd=tmp_path / "..").settings

    active = [line.removeprefix("# ") for line in path.read_text().splitlines() if _is_assignment(line)]
    path.write_text("\n".join(active))

    loaded = try_settings(environ={}, cwd=tmp_path)
    named = {key.name for key in all_keys()} - {"data_dir"}
    assert isinstance(loaded, Loaded), loaded
    assert {name for name in named if loaded.origins[name] == str(path)} == named


def _is_assignment(line: str) -> bool:
    text = line.removeprefix("# ")
    return text.startswith("[") or " = " in text.split('"')[0]


def test_every_setting_has_a_sentence_and_what_is_expected() -> None:
    for key in all_keys():
        assert key.description.endswith((".", "…")), key.name
        assert key.expected, key.name


# ------------------------------------------------------------------ whatever is set comes out, by each road

_WORDS = st.text("abcdefghij klmn0123_-", min_size=1, max_size=20).map(str.strip).filter(bool)


def values_of(key: Key) -> st.SearchStrategy[Any]:
    """Return values that a key takes."""
    if key.name == "homes":
        return st.lists(st.from_regex(r"[a-z]{3,8}", fullmatch=True), unique=True, max_size=3).map(
            lambda names: [{"name": f"x{name}"} for name in names]
        )
    if key.name == "mqtt.topics":
        return st.lists(_WORDS.map(lambda word: {"topic": word, "entity_id": "sensor.x", "unit": word}), max_size=3)
    if key.expected.startswith("one of"):
        return st.sampled_from(key.expected.removeprefix("one of ").split(", "))
    simple: dict[str, st.SearchStrategy[Any]] = {
        "api.port": st.integers(1, 65535),
        "mqtt.keepalive_s": st.integers(5, 600),
        "batch.flush_after_s": st.floats(0.001, 60, allow_nan=False),
        "homeassistant.all_events": st.booleans(),
        "flower.password": _WORDS,
        "flower.user": _WORDS,
        "mqtt.statestream_base": _WORDS,
        "mqtt.statestream_domains": st.lists(_WORDS, max_size=4),
        "homeassistant.url": _WORDS.map(lambda word: f"http://{word.replace(' ', '').strip('_-') or 'x'}.local:8123"),
    }
    return simple[key.name]


KEYS = [
    key
    for name in (
        "api.port",
        "mqtt.keepalive_s",
        "batch.flush_after_s",
        "homeassistant.all_events",
        "flower.password",
        "flower.user",
        "mqtt.statestream_base",
        "mqtt.statestream_domains",
        "homeassistant.url",
        "mqtt.topics",
        "homes",
        "storage.schema",
        "log.format",
    )
    if (key := key_named(name))
]
TREES = st.fixed_dictionaries({}, optional={key.name: values_of(key) for key in KEYS})


@given(tree=TREES)
def test_the_same_values_by_environment_by_toml_and_by_command_line_give_the_same_settings(
    tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    cwd = tmp_path_factory.mktemp("cwd")
    variables = {key.variable: as_text(tree[key.name]) for key in KEYS if key.name in tree}

    by_environment = load_settings(environ=variables, cwd=cwd)
    by_command_line = load_settings(tree, environ={}, cwd=cwd)
    (cwd / "ha-ingestor.toml").write_text("".join(f"{name} = {inline_toml(value)}\n" for name, value in tree.items()))
    by_file = load_settings(environ={}, cwd=cwd)

    assert by_environment.settings == by_file.settings == by_command_line.settings
    assert {name for name, origin in by_file.origins.items() if origin != "default"} == set(tree)
    _has_the_values(by_file.settings, tree)


def inline_toml(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        tables = (
            "{" + ", ".join(f"{name} = {json.dumps(item)}" for name, item in entry.items()) + "}" for entry in value
        )
        return "[" + ", ".join(tables) + "]"
    return as_toml(value)


def _has_the_values(settings: Settings, tree: dict[str, Any]) -> None:
    if "api.port" in tree:
        assert settings.api.port == tree["api.port"]
    if "flower.password" in tree:
        assert settings.flower.password is not None
        assert settings.flower.password.get_secret_value() == tree["flower.password"]
    if "homes" in tree:
        assert [home.name for home in settings.homes] == [home["name"] for home in tree["homes"]]
    if "mqtt.statestream_domains" in tree:
        assert list(settings.mqtt.statestream_domains) == tree["mqtt.statestream_domains"]


def test_what_is_set_holds_over_the_profile_and_the_profile_over_the_default(tmp_path: Path) -> None:
    (tmp_path / "ha-ingestor.toml").write_text('profile = "small"\n[batch]\nflush_after_s = 0.5\n')

    loaded = load_settings(environ={}, cwd=tmp_path)

    assert loaded.settings.batch.flush_after_s == 0.5
    assert loaded.origins["batch.flush_after_s"] == str(tmp_path / "ha-ingestor.toml")
    assert loaded.settings.flower.enabled is False
    assert loaded.origins["flower.enabled"] == "profile small"
    assert loaded.settings.batch.max_frames == Settings(data_dir=tmp_path).batch.max_frames
    assert loaded.origins["batch.max_frames"] == "default"


def test_the_profile_of_the_highest_source_holds(tmp_path: Path) -> None:
    (tmp_path / "ha-ingestor.toml").write_text('profile = "small"\n')

    loaded = load_settings({"profile": "standard"}, environ={}, cwd=tmp_path)

    assert loaded.settings.flower.enabled is True


def test_a_profile_that_there_is_not_is_a_fault(tmp_path: Path) -> None:
    found = faults({"HA_INGESTOR_PROFILE": "tiny"}, tmp_path)

    assert [fault.key for fault in found] == ["profile"]


@pytest.mark.parametrize(
    ("profile", "window_s", "together"), [("standard", 0.025, 0), ("low-latency", 0.015, 2), ("small", 1.0, 2)]
)
def test_a_profile_says_how_long_a_batch_is_open_and_who_takes_its_steps(
    tmp_path: Path, profile: str, window_s: float, together: int
) -> None:
    found = load_settings({"profile": profile}, environ={}, cwd=tmp_path).settings

    assert (found.batch.flush_after_s, found.workers.together) == (window_s, together)


@pytest.mark.parametrize("name", PROFILES)
def test_every_key_of_a_profile_is_a_setting_whose_value_may_stand(name: str, tmp_path: Path) -> None:
    settings = load_settings({"profile": name}, environ={}, cwd=tmp_path).settings

    assert settings.profile == name
