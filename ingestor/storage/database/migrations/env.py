"""Runs Alembic's scripts on the connection that `storage.database.upgrade` hands over; opens none itself."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
# The caller has begun the transaction, holds the lock and commits.
context.run_migrations()
