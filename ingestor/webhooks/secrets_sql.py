"""The secrets of webhooks where several hosts share a metadata database: there, so that each host can deliver."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ingestor import errors
from ingestor.storage.database import database_errors, reading
from ingestor.webhooks.model import Secrets
from ingestor.webhooks.secrets import SecretShelf, renewed, secrets_of
from ingestor.webhooks.signing import new_secret
from ingestor.webhooks.tables import SECRETS


class SharedSecretShelf(SecretShelf):
    """The secrets in the metadata database. Every call but `has_any` may raise StoreUnavailable.

    `database` is asked for at the first call. A secret that lies in the data folder, from before hosts shared one, is
    taken over by the host that has it.
    """

    def __init__(self, data_dir: Path, database: Callable[[], sa.Engine]) -> None:
        super().__init__(data_dir)
        self._database = database

    def find(self, hook_id: str) -> Secrets | None:
        """Return the secrets of a webhook; None where no host has brought them. Raises Fatal for broken ones."""
        kept = self._read(hook_id)
        if kept is None and (found := super().find(hook_id)) is not None:
            self._keep(hook_id, found, instead=False)  # another host may have rotated it just now
            super().remove(hook_id)
            kept = self._read(hook_id)
        return kept

    def rotate(self, hook_id: str, now_us: int) -> str:
        """Make another secret and return it, whatever another host does. Raises Conflict."""
        made = new_secret()
        with contextlib.suppress(errors.Fatal):
            self.find(hook_id)  # takes over what lies in the data folder
        query = sa.select(SECRETS.c.secrets).where(SECRETS.c.hook_id == hook_id).with_for_update()
        with database_errors(), self._database().begin() as connection:
            kept, before = connection.execute(query).scalar(), None
            with contextlib.suppress(errors.Fatal):  # it is what mends them
                before = None if kept is None else secrets_of(hook_id, kept)
            connection.execute(self._insert(hook_id, renewed(made, before, now_us), instead=True))
        return made

    def has_any(self) -> bool:
        """Tell that there may be some: another host may have made one."""
        return True

    def remove(self, hook_id: str) -> None:
        """Forget the secrets of a webhook, here and for all hosts."""
        super().remove(hook_id)
        with database_errors(), self._database().begin() as connection:
            connection.execute(sa.delete(SECRETS).where(SECRETS.c.hook_id == hook_id))

    def _write(self, hook_id: str, secrets: Secrets) -> None:
        self._keep(hook_id, secrets, instead=True)

    def _read(self, hook_id: str) -> Secrets | None:
        query = sa.select(SECRETS.c.secrets).where(SECRETS.c.hook_id == hook_id)
        with reading(self._database()) as connection:
            kept = connection.execute(query).scalar()
        return None if kept is None else secrets_of(hook_id, kept)

    def _keep(self, hook_id: str, secrets: Secrets, *, instead: bool) -> None:
        with database_errors(), self._database().begin() as connection:
            connection.execute(self._insert(hook_id, secrets, instead=instead))

    def _insert(self, hook_id: str, secrets: Secrets, *, instead: bool) -> Any:
        insert: Any = postgresql.insert if self._database().dialect.name == "postgresql" else sqlite.insert
        written = {"secrets": msgspec.json.encode(asdict(secrets)).decode()}
        command = insert(SECRETS).values(hook_id=hook_id, **written)
        if instead:
            return command.on_conflict_do_update(index_elements=["hook_id"], set_=written)
        return command.on_conflict_do_nothing()
