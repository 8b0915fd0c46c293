"""The metadata database of another version: an older one is brought up to date, a newer one is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from ingestor import errors
from ingestor.storage.database import HEAD, open_database


def revision(engine: sa.Engine) -> str:
    with engine.connect() as connection:
        return str(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one())


def test_a_database_that_a_newer_version_changed_is_refused_with_advice_and_left_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'metadata.sqlite'}"
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(errors.Fatal, match=f"9999 by a newer version; this one knows {HEAD}"):
        open_database(url)

    assert revision(engine) == "9999"
    engine.dispose()


def test_an_empty_database_is_brought_to_the_newest_revision_and_opened_again_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'metadata.sqlite'}"

    for _ in range(2):
        engine = open_database(url)
        assert revision(engine) == HEAD
        engine.dispose()
