"""`gaps add`: what is asked for is filled, also once more; and nothing is promised that nobody will do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ingestor import bootstrap
from ingestor.cli.exit_codes import ExitCode
from ingestor.cli.main import run
from ingestor.queue.state import connect_state
from ingestor.queue.status_board import StatusBoard
from ingestor.settings import Settings
from ingestor.storage.gaps import GapRecord, Gaps, GapState
from tests.servers_brokers import RedisServer

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")
Add = Callable[..., int]
FROM, TO = "2026-03-01T10:00:00Z", "2026-03-01T12:00:00Z"


@pytest.fixture
def gaps(tmp_path: Path) -> Gaps:
    return bootstrap.open_gaps(Settings(data_dir=tmp_path))


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Add:
    monkeypatch.chdir(tmp_path)
    return lambda *words: run(["--data-dir", str(tmp_path), *words])


def only(gaps: Gaps) -> GapRecord:
    (found,) = gaps.list()
    return found


@pytest.mark.parametrize("until", [TO, "2026-03-01T11:00:00Z"])
def test_a_span_that_has_ended_is_filled_anew_when_it_is_asked_for_again(
    gaps: Gaps, add: Add, until: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add("gaps", "add", "--from", FROM, "--to", TO)
    gaps.save(replace(only(gaps), state=GapState.FILLED, counts={"written": 3}, why="all"))
    before = only(gaps)

    assert add("gaps", "add", "--from", FROM, "--to", until) == ExitCode.OK

    assert (only(gaps).state, only(gaps).end_us, only(gaps).why) == (GapState.FILLING, before.end_us, "")
    assert "is filled\n" in capsys.readouterr().err


def test_a_span_that_grows_is_filled_to_its_new_end(gaps: Gaps, add: Add) -> None:
    add("gaps", "add", "--from", FROM, "--to", "2026-03-01T11:00:00Z")
    gaps.save(replace(only(gaps), state=GapState.FILLED))
    shorter = only(gaps)

    assert add("gaps", "add", "--from", FROM, "--to", TO) == ExitCode.OK

    assert only(gaps).state is GapState.FILLING
    assert only(gaps).end_us == shorter.end_us + 3600 * 1_000_000


def test_one_that_is_being_filled_goes_on_from_where_it_is(gaps: Gaps, add: Add) -> None:
    add("gaps", "add", "--from", FROM, "--to", TO)
    gaps.save(replace(only(gaps), progress={"stage": "reading"}))

    assert add("gaps", "add", "--from", FROM, "--to", TO) == ExitCode.OK

    assert only(gaps).progress == {"stage": "reading"}


def test_nothing_is_promised_while_no_worker_is_there(gaps: Gaps, add: Add, capsys: pytest.CaptureFixture[str]) -> None:
    assert add("gaps", "add", "--from", FROM, "--to", TO) == ExitCode.OK

    said = capsys.readouterr().err
    assert "within a minute" not in said
    assert "once a worker takes `history` tasks" in said
    assert add("gaps", "retry", only(gaps).gap_id) == ExitCode.OK
    assert "within a minute" not in capsys.readouterr().err


def test_a_span_of_the_future_is_refused(gaps: Gaps, add: Add) -> None:
    assert add("gaps", "add", "--from", "2200-01-01", "--to", "2201-01-01") == ExitCode.BAD_SETTINGS

    assert gaps.list() == []


def test_a_home_without_home_assistant_has_nothing_to_read_back(
    gaps: Gaps, add: Add, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--set", "demo.enabled=false", "gaps", "add", "--from", FROM, "--to", TO)

    assert add(*words) == ExitCode.BAD_SETTINGS

    assert "HA_INGESTOR_HOMEASSISTANT__URL" in capsys.readouterr().err
    assert gaps.list() == []


def test_it_is_within_a_minute_where_a_worker_takes_what_fills(
    add: Add, start_server: Callable[..., RedisServer], capsys: pytest.CaptureFixture[str]
) -> None:
    url = start_server(RedisServer).url
    StatusBoard(connect_state(url)).put("worker", "rare@pi", {"queues": ["history"], "paused": []})
    words = ("--set", f"state.url={url}", "gaps", "add", "--from", FROM, "--to", TO)

    assert add(*words) == ExitCode.OK
    assert "is filled within a minute" in capsys.readouterr().err

    StatusBoard(connect_state(url)).put("worker", "rare@pi", {"queues": ["history"], "paused": ["history"]})
    assert add(*words) == ExitCode.OK
    assert "within a minute" not in capsys.readouterr().err
