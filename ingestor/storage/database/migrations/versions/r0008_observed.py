"""What was observed of homes: who acted on whom, when entities are active."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "observed_edges",
        sa.Column("home", sa.String(255), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("source", sa.String(255), primary_key=True),
        sa.Column("target", sa.String(255), primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
    )
    op.create_index("observed_edges_last", "observed_edges", ["home", "kind", "last_us"])
    op.create_table(
        "observed_patterns",
        sa.Column("home", sa.String(255), primary_key=True),
        sa.Column("entity_id", sa.String(255), primary_key=True),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("learned", sa.Text(), nullable=False),
    )
    op.create_table(
        "observed_workers",
        sa.Column("worker", sa.String(64), primary_key=True),
        sa.Column("page", sa.BigInteger(), nullable=False),
        sa.Column("updated_s", sa.BigInteger(), nullable=False),
    )
