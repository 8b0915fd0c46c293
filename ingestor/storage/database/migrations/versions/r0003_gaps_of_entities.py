"""Gaps of some entities only, as a comparison with Home Assistant's history finds them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; gaps that are there are of every entity."""
    op.add_column("gaps", sa.Column("entities", sa.JSON(), nullable=False, server_default="[]"))
