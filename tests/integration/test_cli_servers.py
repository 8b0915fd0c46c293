"""Commands that ask the state server: what they say where it is away, and where nobody is there who would hear."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from ingestor.cli.exit_codes import ExitCode
from ingestor.cli.main import run
from ingestor.queue.status_board import StatusBoard
from tests.conftest import StartServer
from tests.servers_brokers import RedisServer

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HA_INGESTOR_DATA_DIR", str(tmp_path / "data"))


@pytest.mark.parametrize(
    "words", [["workers"], ["topics"], ["pause", "write"], ["resume", "write"], ["logs", "level", "debug"]]
)
def test_a_state_server_that_is_away_is_told_with_what_to_do(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(words)

    told = capsys.readouterr().err
    assert code == ExitCode.UNAVAILABLE
    assert "the state server does not answer (ConnectionError" in told
    assert "does `ha-ingestor up` run with this data folder? HA_INGESTOR_DATA_DIR" in told


def test_a_level_is_wanted_of_processes_that_run_and_of_no_others(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start_server(RedisServer)
    monkeypatch.setenv("HA_INGESTOR_BROKER__URL", server.url)
    board = StatusBoard(redis.Redis.from_url(server.url))
    nobody = run(["logs", "level", "debug"])
    told_nobody = capsys.readouterr().err
    board.put("worker", "enrich@attic", {"type": "enrich"})
    board.put("process", "beat@attic:17", {"kind": "beat"})

    codes = {
        process: run(["logs", "level", "debug", "--process", process])
        for process in ("nosuch", "enrich", "enrich@attic", "worker", "beat", "all")
    }

    assert (nobody, "is `ha-ingestor up` running?" in told_nobody) == (ExitCode.FAILED, True)
    assert codes.pop("nosuch") == ExitCode.FAILED
    assert set(codes.values()) == {ExitCode.OK}
    assert "no process is called 'nosuch', so nothing was changed; there are: all, beat, enrich, worker" in (
        capsys.readouterr().err
    )
    assert board.wanted_level(["nosuch"]) is None
    assert board.wanted_level(["enrich"]) == "debug"
