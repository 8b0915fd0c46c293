"""The quarantine by cause: what a piece is about, how often and when it was seen, what replay needs to know."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from ingestor.storage.quarantine import Quarantined, clean, digest_of

revision = "0006"
down_revision = "0005"

_TEXT: tuple[str, ...] = ("form", "subject", "cause", "digest", "replay_id", "sightings")
_AT_ONCE = 200


def upgrade() -> None:
    """Add the columns; what is there gets its cause and keeps its bytes."""
    for name in _TEXT:
        op.add_column("quarantine", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    for name in ("shadowed", "uncertain", "replaying"):
        op.add_column("quarantine", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("quarantine", sa.Column("whole", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("quarantine", sa.Column("count", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("quarantine", sa.Column("last_seen_ns", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("quarantine", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
    for name in ("cause", "digest", "replay_id"):
        op.create_index(f"quarantine_{name}", "quarantine", [name])
    _fill()


def _fill() -> None:
    old = sa.table("quarantine", *(sa.column(name) for name in (*_OLD, *_NEW, "id")))
    connection, last = op.get_bind(), 0
    while True:
        query = sa.select(old).where(old.c.id > last).order_by(old.c.id).limit(_AT_ONCE)
        rows = connection.execute(query).mappings().all()
        if not rows:
            return
        for row in rows:
            last = row["id"]
            connection.execute(
                sa.update(old).where(old.c.id == last).values(_values({name: row[name] for name in _OLD}))
            )


_OLD = ("batch_id", "slot", "home", "source", "reason", "detail", "raw", "received_ns", "kind", "topic")
_NEW = ("form", "subject", "cause", "digest", "whole", "last_seen_ns")


def _values(row: dict[str, Any]) -> dict[str, object]:
    raw = bytes(row["raw"])
    form = "message" if row["slot"] == -1 else "event" if raw.startswith(b'{"slot":') else "frame"
    piece = clean(Quarantined(**{**row, "raw": raw, "form": form}))
    return {
        "form": form,
        "subject": piece.subject,
        "cause": piece.cause,
        "digest": digest_of(piece),
        "whole": " bytes, sha256 " not in piece.detail,
        "last_seen_ns": piece.received_ns,
    }
