"""How many of the lost events were read back since, in the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; nothing is known of what was read back before."""
    op.add_column("ledger_hours", sa.Column("recovered", sa.BigInteger(), nullable=False, server_default="0"))
