"""How the home's tables are reached: a transaction in the metadata database, its errors turned into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import exc

from ingestor import errors


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction. Raises StoreUnavailable where the database is away or busy."""
    with _our_errors(), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a connection for questions alone: on SQLite it waits for no writer. Raises StoreUnavailable."""
    with _our_errors(), engine.connect().execution_options(reads=True) as connection:
        yield connection


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError) as error:
        raise errors.StoreUnavailable(f"metadata database: {error}") from error
    except exc.DatabaseError as error:
        if type(error) is not exc.DatabaseError:  # of its own kinds: a statement of ours that cannot be
            raise
        raise errors.StoreDamaged(f"metadata database: {error.orig}: its file is damaged") from error
