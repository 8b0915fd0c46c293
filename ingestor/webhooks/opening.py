"""Puts together what registers webhooks and what delivers to them; names the adapters, does nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable

import redis
import sqlalchemy as sa

from ingestor.intake.leadership import Leadership
from ingestor.live.hub import LiveHub
from ingestor.security.access import ANONYMOUS, Principal
from ingestor.security.audit import Audit
from ingestor.settings import Settings
from ingestor.webhooks.asking import AskBook
from ingestor.webhooks.book import WebhookBook
from ingestor.webhooks.deliverer import LEASE_S, Deliverer
from ingestor.webhooks.desk import WebhookDesk
from ingestor.webhooks.secrets import SecretShelf


def open_desk(settings: Settings, database: sa.Engine, *, by: Principal | None, request_id: str) -> WebhookDesk:
    """Open where webhooks are registered."""
    from ingestor.webhooks.book_sql import SqlWebhookBook  # noqa: PLC0415 -- see `_book`

    return WebhookDesk(
        SqlWebhookBook(database),
        _shelf(settings, lambda: database),
        settings.webhooks,
        Audit(settings.data_dir),
        by=by or ANONYMOUS,
        request_id=request_id,
    )


def open_deliverer(
    settings: Settings, hub: LiveHub, state: redis.Redis[bytes], database: Callable[[], sa.Engine]
) -> Deliverer:
    """Open what delivers from this process; the database is opened when it is first asked."""
    opened = functools.cache(database)
    return Deliverer(
        hub,
        AskBook(lambda: _book(opened())),
        _shelf(settings, opened),
        settings.webhooks,
        lambda hook_id: Leadership(state, f"webhook:{hook_id}", LEASE_S),
    )


def _shelf(settings: Settings, database: Callable[[], sa.Engine]) -> SecretShelf:
    if settings.database_url.startswith("sqlite"):
        return SecretShelf(settings.data_dir)
    from ingestor.webhooks.secrets_sql import SharedSecretShelf  # noqa: PLC0415 -- see `_book`

    return SharedSecretShelf(settings.data_dir, database)


def _book(database: sa.Engine) -> WebhookBook:
    # Its dialects of SQL take 4 MB, which who has no webhooks need not pay.
    from ingestor.webhooks.book_sql import SqlWebhookBook  # noqa: PLC0415 -- see `_book`

    return SqlWebhookBook(database)
