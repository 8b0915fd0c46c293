"""How far readers of ours have come in the live channel."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "live_places",
        sa.Column("reader", sa.String(64), primary_key=True),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("kept_us", sa.BigInteger(), nullable=False),
    )
