"""The metadata database: opens it, brings its schema up to date, and turns its errors into ours; knows no table.

SQLite by default, PostgreSQL where several hosts share it. Tables belong to who uses them (`storage.quarantine_sql`,
`home.history`); how they came to be is in `migrations`, and a test holds both equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event, exc

from ingestor import errors
from ingestor.path_urls import path_of_url
from ingestor.storage.sqlite_faults import explained, is_damaged
from ingestor.storage.sqlite_wal import use_wal

#: The newest revision in `migrations/versions`; a database that says so is not looked at further.
HEAD: Final = "0017"
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
#: Any number, the same for all: who migrates a PostgreSQL database holds this advisory lock.
_MIGRATION_LOCK: Final = 0x4841_494E
_SQLITE_BUSY_S: Final = 30
_FORMS: Final = "it begins with sqlite:/// or postgresql://"


def open_database(url: str) -> sa.Engine:
    """Return an engine on an up-to-date schema. Raises StoreUnavailable, or InvalidSettings for a bad URL."""
    engine = _engine(url)
    with database_errors(_told(engine)):
        upgrade(engine)
    return engine


def upgrade(engine: sa.Engine) -> None:
    """Bring the schema up to date, once, however many processes start at the same moment.

    All of it is one transaction: on SQLite `BEGIN IMMEDIATE` lets one process in, on PostgreSQL an advisory lock.
    """
    found = _revision(engine)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise errors.Fatal(
            f"the database was brought to revision {found} by a newer version; this one knows {HEAD} at most:"
            " install the newer one again, or restore a copy of the database from before the upgrade"
        )
    from alembic import command  # noqa: PLC0415 - a start with nothing to do must not pay for loading it (0.2 s)
    from alembic.config import Config  # noqa: PLC0415 - as above

    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


#: The option of a connection that only asks.
READS: Final = "reads"


@contextmanager
def database_errors(which: str = "metadata database") -> Iterator[None]:
    """Turn what the database or its driver raises for being away, busy or damaged into StoreUnavailable."""
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError) as error:
        cause = getattr(error, "orig", None) or error
        raise errors.StoreUnavailable(f"{which}: {type(cause).__name__}: {explained(cause)}") from error
    except exc.DatabaseError as error:
        if type(error) is not exc.DatabaseError:  # of its own kinds: a statement of ours that cannot be
            raise
        kind = errors.StoreDamaged if is_damaged(error.orig) else errors.StoreUnavailable
        raise kind(f"{which}: {explained(error.orig)}") from error


def _told(engine: sa.Engine) -> str:
    """Return the database as a person knows it: its file, or the server without the password."""
    file = engine.dialect.name == "sqlite" and engine.url.database
    return f"metadata database {file or engine.url.render_as_string(hide_password=True)}"


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a connection for questions alone: they wait for no writer, nor it for them. Raises StoreUnavailable."""
    with database_errors(), engine.connect().execution_options(**{READS: True}) as connection:
        yield connection


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except (exc.ArgumentError, ValueError) as error:  # of a port that is no number; both tell the address
        raise errors.InvalidSettings(f"database.url is no database URL: {_FORMS}") from error
    if parsed.get_backend_name() == "sqlite":
        # Of SQLAlchemy's versions some take the path as it stands there, and some unquote it.
        path = path_of_url(url.partition(":///")[2].partition("?")[0])
        return _sqlite(parsed.set(database=path or None))
    if parsed.get_backend_name() != "postgresql":
        raise errors.InvalidSettings(f"database.url: {_FORMS}")
    try:
        return sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True, connect_args={"connect_timeout": 5}
        )
    except ModuleNotFoundError as error:
        raise errors.InvalidSettings(
            "database.url names a PostgreSQL, whose driver is not installed: pip install 'ha-ingestor[postgres]'"
        ) from error


def _sqlite(url: sa.URL) -> sa.Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": _SQLITE_BUSY_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself: it would take the write lock too late (SQLITE_BUSY at once).
    connection.isolation_level = None
    use_wal(connection, _SQLITE_BUSY_S)
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: sa.Connection) -> None:
    # Who may write takes the lock at once: who reads first and writes then is refused where another wrote in between.
    reads = connection.get_execution_options().get(READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _revision(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
