"""What became of every event, by hour, home and source."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_COUNTS = ("frames", "settled", "received", "written", "duplicate", "rejected", "filtered", "lost")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "ledger_books",
        sa.Column("book", sa.String(64), primary_key=True),
        sa.Column("home", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("journal", sa.Text(), nullable=False),
        sa.Column("page", sa.BigInteger(), nullable=False),
        sa.Column("updated_s", sa.BigInteger(), nullable=False),
    )
    op.create_table("ledger_hours", *_key(), *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS))
    op.create_table("ledger_stored", *_key(), sa.Column("events", sa.BigInteger(), nullable=False))


def _key() -> tuple[sa.Column[int], sa.Column[str], sa.Column[str]]:
    return (
        sa.Column("hour_s", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("home", sa.String(255), primary_key=True),
        sa.Column("source", sa.String(64), primary_key=True),
    )
