"""Settings that are changed while workers run: a real node follows the file, without a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.integration.real_workers import Road
from tests.servers import wait_until
from tests.servers_brokers import RedisServer

DENY = """
[[quality.rules]]
name = "not_wanted"
kind = "deny"
entities = ["sensor.*"]
"""


@pytest.fixture
def road(start_server: StartServer, tmp_path: Path) -> Iterator[Road]:
    server = start_server(RedisServer)
    with ExitStack() as stack:
        yield Road(stack, tmp_path / "data", server.url, server.url)


def test_a_worker_takes_a_rule_and_a_level_of_the_log_from_the_file_while_it_runs(
    road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("")
    monkeypatch.setenv("HA_INGESTOR_CONFIG", str(file))
    node = road.start_workers()
    road.add("wanted")
    road.settle(60)

    file.write_text('[log]\nlevel = "debug"\n' + DENY)

    def left_out() -> bool:
        road.add("not wanted")
        road.settle(60)
        return bool(road.intake.status()["done"]["filtered"])

    wait_until(left_out, timeout_s=60, what="the rule holds")
    wait_until(lambda: '"level": "debug"' in road.log(), timeout_s=60, what="more is logged")
    assert "wanted" in road.stored()
    assert node.poll() is None
