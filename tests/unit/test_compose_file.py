"""The Compose file: what the specification allows, what our code knows, and what keeps a container small and shut."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from compose_spec import PyCompose
from typer.main import get_command

from ingestor.api.app import create_app
from ingestor.cli.main import build_app
from ingestor.settings_sources import Loaded, try_settings
from tests.compose.file import FOLDER, composition, is_ours

PROFILES = {"core", "influxdb", "mosquitto", "monitoring", "rabbitmq", "postgres", "demo"}


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    return composition()


@pytest.fixture(scope="module")
def ours(composed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in composed["services"].items() if is_ours(one)}


def test_the_specification_allows_every_key_and_value(composed: dict[str, Any]) -> None:
    merged = json.dumps({key: value for key, value in composed.items() if not key.startswith("x-")})

    parsed = PyCompose.from_yaml(merged)

    assert set(parsed.service_names()) == set(composed["services"])


def test_a_key_that_the_specification_does_not_know_is_refused(composed: dict[str, Any]) -> None:
    broken = {"services": {"api": {"image": "x", "readonly": True}}}

    with pytest.raises(ValueError, match="readonly"):
        PyCompose.from_yaml(json.dumps(broken))


def test_every_profile_of_the_readers_guide_has_services(composed: dict[str, Any]) -> None:
    assert {name for one in composed["services"].values() for name in one["profiles"]} == PROFILES


def test_every_command_is_one_of_ours_with_options_that_it_knows(ours: dict[str, dict[str, Any]]) -> None:
    group: Any = get_command(build_app())

    for name, one in ours.items():
        first, *rest = [str(word) for word in one["command"]]
        command = group.commands[first]
        command.make_context(first, rest, parent=group.make_context("ha-ingestor", [first, *rest]))
        assert command is not None, name


def test_every_variable_is_a_setting_and_all_together_are_in_order(
    ours: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("")
    (tmp_path / "broker_url").write_text("redis://broker:6379/0")

    for name, one in ours.items():
        variables = {
            key: str(tmp_path / ("broker_url" if "BROKER" in key else "secret")) if key.endswith("_FILE") else value
            for key, value in one["environment"].items()
        }
        outcome = try_settings(environ=variables, cwd=tmp_path)
        assert isinstance(outcome, Loaded), (name, outcome)


def test_every_secret_that_a_variable_names_is_given_and_is_written_by_our_script(
    composed: dict[str, Any], tmp_path: Path
) -> None:
    script = tmp_path / "make-secrets"
    script.write_text((FOLDER / "make-secrets").read_text())
    subprocess.run(["sh", script, "rabbitmq", "postgres"], check=True)
    written = {path.name for path in (tmp_path / "secrets").iterdir()}

    for name, one in composed["services"].items():
        given = {secret if isinstance(secret, str) else secret["source"] for secret in one.get("secrets", [])}
        named = {Path(value).name for value in one.get("environment", {}).values() if "/run/secrets/" in str(value)}
        assert named <= given, name
        assert given <= written, name
    assert set(composed["secrets"]) <= written
    password = (tmp_path / "secrets" / "postgres_password").read_text()
    assert password in (tmp_path / "secrets" / "database_url").read_text()


def test_secrets_that_are_there_are_left_alone(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets"
    script.write_text((FOLDER / "make-secrets").read_text())
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "home_assistant_token").write_text("mine")

    subprocess.run(["sh", script], check=True)

    assert (tmp_path / "secrets" / "home_assistant_token").read_text() == "mine"


def test_no_container_may_write_its_image_or_gain_rights(composed: dict[str, Any]) -> None:
    for name, one in composed["services"].items():
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in one["security_opt"], name
        assert int(one["user"].split(":")[0]) > 0, name
        assert {"cpus", "memory", "pids"} <= set(one["deploy"]["resources"]["limits"]), name
        assert one["healthcheck"]["test"], name


def test_published_ports_are_those_that_the_settings_name(ours: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    outcome = try_settings(environ={}, cwd=tmp_path)
    assert isinstance(outcome, Loaded)
    expected = {"api": outcome.settings.api.port, "flower": outcome.settings.flower.port}

    published = {name: one["ports"] for name, one in ours.items() if "ports" in one}

    assert published == {name: [f"127.0.0.1:{port}:{port}"] for name, port in expected.items()}


def test_the_health_check_of_the_api_asks_for_a_page_that_there_is(
    ours: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    loaded = try_settings({"data_dir": tmp_path, "broker.url": "redis://127.0.0.1:1/0"}, environ={}, cwd=tmp_path)
    assert isinstance(loaded, Loaded)
    routes = {getattr(route, "path", "") for route in create_app(loaded.settings).routes}

    asked = re.search(r"127\.0\.0\.1:8080(/\w+)", ours["api"]["healthcheck"]["test"][-1])

    assert asked is not None
    assert asked.group(1) in routes


def test_a_sign_of_life_is_healthy_while_it_is_fresh(ours: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    alive = tmp_path / "run" / "7.alive"
    check = ours["enrich"]["healthcheck"]["test"][1].replace("$$", "$").replace("/data", shlex.quote(str(tmp_path)))

    def healthy() -> bool:
        return subprocess.run(["sh", "-c", check], check=False).returncode == 0

    assert not healthy()
    alive.touch()
    assert healthy()
    os.utime(alive, (1, 1))
    assert not healthy()


def test_every_file_and_folder_that_a_service_is_given_is_there(composed: dict[str, Any]) -> None:
    given = [one["file"] for one in composed["configs"].values()]
    volumes = [volume for one in composed["services"].values() for volume in one.get("volumes", [])]
    given += [volume.split(":")[0] for volume in volumes if volume.startswith(".")]

    assert {"./grafana/dashboards", "./grafana/provisioning", "prometheus/prometheus.yml"} <= set(given)
    assert [path for path in given if not (FOLDER / path).exists()] == []


def test_named_volumes_configurations_and_networks_are_declared(composed: dict[str, Any]) -> None:
    for name, one in composed["services"].items():
        volumes = [volume.split(":")[0] for volume in one.get("volumes", []) if not volume.startswith(".")]
        assert set(volumes) <= set(composed["volumes"]), name
        assert {entry["source"] for entry in one.get("configs", [])} <= set(composed["configs"]), name
        assert set(one["networks"]) <= set(composed["networks"]), name


def test_grafana_and_prometheus_find_the_services_that_their_files_name(composed: dict[str, Any]) -> None:
    prometheus = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())
    sources = (FOLDER / "grafana" / "provisioning" / "datasources" / "ha-ingestor.yml").read_text()
    grafana = composed["services"]["grafana"]

    asked = [target for job in prometheus["scrape_configs"] for target in job["static_configs"][0]["targets"]]
    wanted = set(re.findall(r"\$\{(\w+)\}", sources))
    hosts = {url.hostname for url in map(urlsplit, re.findall(r"url: (\S+)", sources))}

    assert "api:8080" in asked
    assert hosts <= set(composed["services"])
    assert {
        name for name in wanted if name not in grafana["environment"] and name not in grafana["entrypoint"][-1]
    } == set()
    boards = (FOLDER / "grafana" / "provisioning" / "dashboards" / "ha-ingestor.yml").read_text()
    path = yaml.safe_load(boards)["providers"][0]["options"]["path"]
    assert f"./grafana/dashboards:{path}:ro" in grafana["volumes"]
