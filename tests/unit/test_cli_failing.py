"""Whatever ends a command or a process: one sentence that says what to do, and the exit code that fits."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import NoReturn

import pytest

from ingestor import bootstrap, errors
from ingestor.cli.exit_codes import ExitCode
from ingestor.cli.failing import ended, told
from ingestor.cli.main import run
from ingestor.settings import Settings
from ingestor.storage.open import open_store
from tests.program import run_into
from workers import supervisor, tables

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")


@pytest.fixture
def impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that nobody can make, whoever runs this: a file is in its place."""
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "data"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HA_INGESTOR_DATA_DIR", str(folder))
    return folder


def refuse(*_: object) -> NoReturn:
    raise AssertionError("it became another program")


@pytest.mark.parametrize(
    "command",
    [
        *("key", "ledger", "gaps", "quarantine list", "quality report", "home list area", "webhooks list"),
        *("worker write", "beat", "up", "listen websocket", "flower"),
    ],
)
def test_a_data_folder_that_cannot_be_is_named_in_one_sentence(
    impossible: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.execv", refuse)

    assert run(command.split()) == ExitCode.BAD_SETTINGS

    (sentence,) = capsys.readouterr().err.splitlines()
    assert str(impossible) in sentence
    assert "HA_INGESTOR_DATA_DIR" in sentence


@pytest.mark.parametrize("main", [supervisor.main, tables.main])
def test_processes_say_the_same(main: object, impossible: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap.settings.cache_clear()

    assert callable(main)
    assert main() == ExitCode.BAD_SETTINGS

    (sentence,) = capsys.readouterr().err.splitlines()
    assert str(impossible) in sentence
    bootstrap.settings.cache_clear()


@pytest.mark.parametrize("command", [["config", "show", "--json"], ["config", "show"], ["--help"]])
def test_output_that_has_no_room_is_said_once(tmp_path: Path, command: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = run_into(full, tmp_path, *command)

    assert done.returncode == ExitCode.UNAVAILABLE
    (sentence,) = done.stderr.splitlines()
    assert "make room" in sentence


@pytest.mark.parametrize(("file", "command"), [("metadata", "ledger"), ("metadata", "gaps"), ("events", "events")])
def test_a_damaged_database_is_named_with_what_to_do(
    tmp_path: Path, file: str, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{file}.sqlite").write_bytes(b"no database at all " * 500)

    assert run(["--data-dir", str(tmp_path), command]) == ExitCode.FAILED

    (sentence,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / f"{file}.sqlite") in sentence
    assert "backup" in sentence


def test_work_waits_for_a_damaged_database(tmp_path: Path) -> None:
    (tmp_path / "metadata.sqlite").write_bytes(b"no database at all " * 500)
    (tmp_path / "events.sqlite").write_bytes(b"no database at all " * 500)
    settings = Settings(data_dir=tmp_path)

    with pytest.raises(errors.Transient):
        bootstrap.open_metadata(settings)
    with pytest.raises(errors.Transient):
        open_store(settings.storage, tmp_path).check()


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/srv/data"), ExitCode.BAD_SETTINGS, "/srv/data: Perm"),
        (OSError(errno.EROFS, "Read-only file system", "/srv"), ExitCode.BAD_SETTINGS, "let this user"),
        (OSError(errno.ENOSPC, "No space left on device"), ExitCode.UNAVAILABLE, "make room in the data folder"),
        (OSError(errno.ENOSPC, "No space left on device", b"/srv/a"), ExitCode.UNAVAILABLE, "/srv/a: No space"),
        (OSError(errno.EMFILE, "Too many open files", "/x"), ExitCode.UNAVAILABLE, "try again"),
        (OSError(errno.EIO, "Input/output error", "/x"), ExitCode.FAILED, "disk"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), ExitCode.UNAVAILABLE, "doctor"),
        (sqlite3.OperationalError("database is locked"), ExitCode.UNAVAILABLE, "database is locked"),
        (OverflowError("Python int too large to convert to SQLite INTEGER"), ExitCode.BAD_SETTINGS, "beyond"),
        (ValueError("year 0 is out of range"), ExitCode.FAILED, "--log-level debug"),
        (errors.StoreRefused("no"), ExitCode.REFUSED, "no"),
    ],
)
def test_each_kind_has_its_code_and_says_what_to_do(error: Exception, code: ExitCode, words: str) -> None:
    found = told(error)

    assert found is not None
    assert found[1] is code
    assert words in found[0]


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    def fails() -> int:
        raise KeyError("no such thing")

    with pytest.raises(KeyError):
        ended(fails)
