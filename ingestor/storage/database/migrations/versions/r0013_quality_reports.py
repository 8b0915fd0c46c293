"""Reports on quality, the store's counts that they are made of, alerts, and what is still to be delivered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "quality_reports",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("home", sa.String(255), nullable=False),
        sa.Column("period", sa.String(16), nullable=False),
        sa.Column("start_us", sa.BigInteger, nullable=False),
        sa.Column("end_us", sa.BigInteger, nullable=False),
        sa.Column("made_us", sa.BigInteger, nullable=False),
        sa.Column("figures", sa.JSON, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index("quality_reports_by_end", "quality_reports", ["home", "period", "end_us"])
    op.create_table(
        "quality_report_pieces",
        sa.Column("home", sa.String(255), primary_key=True),
        sa.Column("start_us", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("end_us", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("counted", sa.LargeBinary, nullable=False),
        sa.Column("counted_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "quality_alerts",
        sa.Column("home", sa.String(255), primary_key=True),
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("since_us", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("over_us", sa.BigInteger, nullable=True),
        sa.Column("subject", sa.String(16), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("sentence", sa.Text, nullable=False),
    )
    op.create_table(
        "quality_deliveries",
        sa.Column("parcel", sa.String(255), primary_key=True),
        sa.Column("road", sa.String(16), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("home", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("asked_us", sa.BigInteger, nullable=False),
        sa.Column("next_us", sa.BigInteger, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_index("quality_deliveries_by_state", "quality_deliveries", ["state", "next_us"])
