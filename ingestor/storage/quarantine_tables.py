"""The tables of the quarantine; how they came to be is in the migrations."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()
PIECES: Final = sa.Table(
    "quarantine",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("batch_id", sa.String(64), nullable=False),
    sa.Column("slot", sa.Integer, nullable=False),
    sa.Column("home", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("received_ns", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("form", sa.Text, nullable=False, server_default=""),
    sa.Column("subject", sa.Text, nullable=False, server_default=""),
    sa.Column("cause", sa.Text, nullable=False, server_default=""),
    sa.Column("digest", sa.Text, nullable=False, server_default=""),
    sa.Column("replay_id", sa.Text, nullable=False, server_default=""),
    # Batches that this piece was seen in, the last ones.
    sa.Column("sightings", sa.Text, nullable=False, server_default=""),
    sa.Column("shadowed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("uncertain", sa.Boolean, nullable=False, server_default=sa.false()),
    # It has a batch that it is sent again as, and nobody has said yet what became of that.
    sa.Column("replaying", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("whole", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("count", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("last_seen_ns", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("batch_id", "slot", name="quarantine_identity"),
    sa.Index("quarantine_cause", "cause"),
    sa.Index("quarantine_digest", "digest"),
    sa.Index("quarantine_replay_id", "replay_id"),
)
#: One row: what is kept now and what the limits have cost. Whoever puts holds it, so that the sums stay true.
TOTALS: Final = sa.Table(
    "quarantine_totals",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("pieces", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("evicted", sa.BigInteger, nullable=False),
)
