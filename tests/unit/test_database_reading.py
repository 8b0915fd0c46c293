"""Who only asks the metadata database waits for nobody who writes, and sees what was there before."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from ingestor import errors
from ingestor.home.history import MapHistory
from ingestor.home.objects import Observed
from ingestor.home.objects_store import RegistryObjects
from ingestor.quality.book_sql import SqlQualityBook
from ingestor.storage.database import open_database
from ingestor.storage.gaps_sql import SqlGaps
from ingestor.storage.ledger_sql import SqlLedger
from ingestor.storage.quarantine_sql import SqlQuarantine

QUESTIONS: dict[str, Callable[[sa.Engine], object]] = {
    "objects": lambda engine: RegistryObjects(engine).load("home", "device")["device"]["d"]["name"] == "Lamp",
    "map": lambda engine: MapHistory(engine).load("home").entries == [],
    "quality": lambda engine: SqlQualityBook(engine).homes() == {},
    "gaps": lambda engine: list(SqlGaps(engine).list()) == [],
    "ledger": lambda engine: not SqlLedger(engine).rows(),
    "quarantine": lambda engine: SqlQuarantine(engine).count() == 0,
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_while_another_process_writes(tmp_path: Path, question: str) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'metadata.sqlite'}")
    RegistryObjects(engine).take("home", Observed({"device": {"d": {"name": "Lamp"}}}))
    writer = sqlite3.connect(tmp_path / "metadata.sqlite", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")

    assert QUESTIONS[question](engine)

    writer.execute("ROLLBACK")
    writer.close()
    engine.dispose()


def test_who_writes_takes_the_lock_before_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestor.storage.database._SQLITE_BUSY_S", 0.01)
    engine = open_database(f"sqlite:///{tmp_path / 'metadata.sqlite'}")
    writer = sqlite3.connect(tmp_path / "metadata.sqlite", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")

    with pytest.raises(errors.StoreUnavailable):
        RegistryObjects(engine).take("home", Observed({}))

    writer.execute("ROLLBACK")
    assert RegistryObjects(engine).take("home", Observed({"device": {"d": {"name": "Lamp"}}}))
    writer.close()
    engine.dispose()


@pytest.mark.parametrize("url", ["postgresql://me:secret@db:port/x", "mysql://me:secret@db/x", "me:secret@db"])
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(errors.InvalidSettings, match=r"begins with sqlite:///") as refused:
        open_database(url)

    assert "secret" not in str(refused.value)
