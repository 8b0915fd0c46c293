"""What was found of the homes hour by hour: facts and sums, days, problems, and what the judge remembers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "quality_hours",
        sa.Column("home", sa.String(255), primary_key=True),
        sa.Column("hour_us", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("sums", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "quality_days",
        sa.Column("home", sa.String(255), primary_key=True),
        sa.Column("day_us", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("sums", sa.LargeBinary(), nullable=False),
        sa.Column("scores", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "quality_states",
        sa.Column("home", sa.String(255), primary_key=True),
        sa.Column("hour_us", sa.BigInteger(), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "quality_problems",
        sa.Column("home", sa.String(255), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("scope", sa.String(16), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        sa.Column("since_us", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("until_us", sa.BigInteger(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("advice", sa.Text(), nullable=False),
    )
    op.create_index("quality_problems_until", "quality_problems", ["home", "until_us"])
