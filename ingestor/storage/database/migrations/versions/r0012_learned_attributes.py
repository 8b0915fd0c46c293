"""What was learned of the attributes of each home."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "learned_attributes",
        sa.Column("home", sa.String(255), primary_key=True),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
    )
