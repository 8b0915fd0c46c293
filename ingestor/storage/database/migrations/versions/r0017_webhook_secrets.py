"""The secrets of webhooks, where several hosts share the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "webhook_secrets",
        sa.Column("hook_id", sa.String(40), primary_key=True),
        sa.Column("secrets", sa.Text(), nullable=False),
    )
