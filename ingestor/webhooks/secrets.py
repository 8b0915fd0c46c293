"""Where the secrets of webhooks are kept: a file each in the data folder, for its owner's eyes alone.

That is for one host; where several share a database, they are there (`secrets_sql`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

import msgspec

from ingestor import errors
from ingestor.webhooks.model import Secrets
from ingestor.webhooks.signing import new_secret

FOLDER: Final = "webhook-secrets"
#: How long an old secret is signed with besides the new one.
BOTH_FOR_US: Final = 24 * 3600 * 1_000_000
#: A delivery has so many signatures at most.
MOST_SECRETS: Final = 10


def secrets_of(hook_id: str, kept: bytes | str) -> Secrets:
    """Return secrets as they were kept. Raises Fatal."""
    try:
        return msgspec.json.decode(kept, type=Secrets)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.Fatal(f"the secrets of webhook {hook_id} cannot be read: rotate them") from error


def renewed(made: str, before: Secrets | None, now_us: int) -> Secrets:
    """Return what is signed with once another secret was made. Raises Conflict where too many hold already."""
    if before is None:
        return Secrets(made)
    former = before.former(now_us)
    if len(former) + 2 > MOST_SECRETS:
        raise errors.Conflict(
            f"{MOST_SECRETS} secrets hold already, each for a day: use the newest, or rotate when one has ended"
        )
    return Secrets(made, before.current, now_us + BOTH_FOR_US, former)


class SecretShelf:
    """The secrets of the webhooks that were made on this host, and beside them when one was changed last."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER
        self._changed = data_dir / "webhooks-changed"

    def make(self, hook_id: str) -> str:
        """Make a secret for a new webhook and return it."""
        made = new_secret()
        self._write(hook_id, Secrets(made))
        return made

    def rotate(self, hook_id: str, now_us: int) -> str:
        """Make another secret and return it; those before hold for a day more, where they can be read.

        Raises Conflict where too many hold already.
        """
        made = new_secret()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # of two who rotate at once neither makes the other's void
            before = None
            with contextlib.suppress(errors.Fatal):  # it is what mends them
                before = self.find(hook_id)
            self._write(hook_id, renewed(made, before, now_us))
        finally:
            os.close(folder)
        return made

    def find(self, hook_id: str) -> Secrets | None:
        """Return the secrets of a webhook; None where they are not on this host. Raises Fatal for a broken file."""
        try:
            found = self._path(hook_id).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise errors.Fatal(f"the secrets of webhook {hook_id} cannot be read: {error}") from error
        return secrets_of(hook_id, found)

    def note_change(self) -> None:
        """Let whoever delivers from this host see that something was changed, from whatever process."""
        with contextlib.suppress(OSError):  # it looks from time to time anyway
            self._changed.touch()

    def changed_ns(self) -> int:
        """Return when something was changed last; 0 where nothing was."""
        try:
            return self._changed.stat().st_mtime_ns
        except OSError:
            return 0

    def has_any(self) -> bool:
        """Tell whether there are secrets at all: without one nothing is delivered from this host."""
        return next(self._folder.glob("*.json"), None) is not None

    def remove(self, hook_id: str) -> None:
        """Forget the secrets of a webhook."""
        with contextlib.suppress(FileNotFoundError):
            self._path(hook_id).unlink()

    def _path(self, hook_id: str) -> Path:
        return self._folder / f"{hook_id}.json"

    def _write(self, hook_id: str, secrets: Secrets) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=".", dir=self._folder)  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(asdict(secrets)))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path(hook_id))
        finally:
            Path(name).unlink(missing_ok=True)
