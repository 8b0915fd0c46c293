"""The tables of webhooks in the metadata database, and how their rows are read; asks nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import sqlalchemy as sa

from ingestor.live.filter import LiveFilter
from ingestor.webhooks.model import Delivery, DeliveryState, Hook, Wanted

METADATA: Final = sa.MetaData()
HOOKS: Final = sa.Table(
    "webhooks",
    METADATA,
    sa.Column("hook_id", sa.String(40), primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("wanted", sa.JSON, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("made_us", sa.BigInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("cursor", sa.Text, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("paused_until_us", sa.BigInteger, nullable=False),
    sa.Column("last_error", sa.Text, nullable=False),
    sa.Column("last_taken_us", sa.BigInteger, nullable=False),
    sa.Column("delivered", sa.BigInteger, nullable=False),
    sa.Column("gaps", sa.BigInteger, nullable=False),
    sa.Column("forgotten", sa.BigInteger, nullable=False),
)
DELIVERIES: Final = sa.Table(
    "webhook_deliveries",
    METADATA,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("hook_id", sa.String(40), nullable=False),
    sa.Column("delivery_id", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("messages", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("made_us", sa.BigInteger, nullable=False),
    sa.Column("next_us", sa.BigInteger, nullable=False),
    sa.Column("ended_us", sa.BigInteger, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Index("webhook_deliveries_by_id", "hook_id", "delivery_id", unique=True),
    sa.Index("webhook_deliveries_by_state", "hook_id", "state", "seq"),
    # Has all that is counted: the rows themselves, with their bodies, are not read for it.
    sa.Index("webhook_deliveries_by_time", "hook_id", "state", "next_us", "size"),
)
#: Used where the database is one that several hosts share; on one host they are files (`secrets`).
SECRETS: Final = sa.Table(
    "webhook_secrets",
    METADATA,
    sa.Column("hook_id", sa.String(40), primary_key=True),
    sa.Column("secrets", sa.Text, nullable=False),
)
#: What is told of a delivery without what it says.
HEAD: Final = [column for column in DELIVERIES.c if column.name != "body"]
#: What somebody decides of a webhook; all else tells how it does.
DECIDED: Final = ("url", "wanted", "description", "enabled", "why", "version")


def hook_of(row: Mapping[str, Any]) -> Hook:
    """Return the webhook of a row."""
    wanted = dict(row["wanted"])
    messages = {kind: tuple(values) for kind, values in wanted.pop("messages").items()}
    return Hook(**{**row, "wanted": Wanted(LiveFilter(**messages), **wanted)})


def hook_row(hook: Hook) -> dict[str, Any]:
    """Return the row of a webhook."""
    return asdict(hook)


def delivery_of(row: Mapping[str, Any]) -> Delivery:
    """Return the delivery of a row."""
    return Delivery(**{**row, "state": DeliveryState(row["state"])})
