"""Secrets that we make ourselves and keep in the data folder, and the key that opens the API; asks nobody."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ingestor import errors
from ingestor.security.access import ANONYMOUS, Principal

KEY_FILE: Final = "api-key"
#: The name by which the key of the installation stands in the audit.
KEY_NAME: Final = "installation"
#: A key that is shorter could be guessed: a file that was cut, or one that somebody wrote by hand.
SHORTEST: Final = 16
_RANDOM_BYTES: Final = 18
_API_KEY_BYTES: Final = 32


def kept_secret(path: Path, size: int = _RANDOM_BYTES) -> str:
    """Return the secret in a file that only its owner may read; make it (of `size` random bytes) where there is none.

    It comes into its place complete: of several who make it at once, all return the same.
    """
    with contextlib.suppress(FileNotFoundError):
        return path.read_text("utf-8").strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    with _written(path, size) as made:
        try:
            os.link(made, path)
        except FileExistsError:
            pass  # somebody was quicker: theirs it is
        except OSError:
            made.replace(path)  # a file system without links
    return path.read_text("utf-8").strip()


def renewed_secret(path: Path, size: int = _RANDOM_BYTES) -> str:
    """Put a new secret in the place of the one that is kept, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _written(path, size) as made:
        made.replace(path)
    return path.read_text("utf-8").strip()


@contextlib.contextmanager
def _written(path: Path, size: int) -> Iterator[Path]:
    """Yield a file of its owner's alone, beside `path`, that holds a new secret; it is gone afterwards."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
    made = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{secrets.token_urlsafe(size)}\n")
            file.flush()
            os.fsync(file.fileno())
        yield made
    finally:
        made.unlink(missing_ok=True)


class Keyring:
    """Knows the key of the installation: the one that is set, else the one in the data folder."""

    def __init__(self, path: Path, given: str | None = None) -> None:
        self._path = path
        self._given = given
        self._kept = ""
        self._stamp: tuple[int, int] | None = None

    def key(self) -> str:
        """Return the key; make it at the first start. Raises InvalidSettings where it is too short to be one."""
        key = self._given if self._given is not None else kept_secret(self._path, _API_KEY_BYTES)
        if len(key) < SHORTEST:
            raise errors.InvalidSettings(
                f"the API key in {self._path} is shorter than {SHORTEST} characters: remove the file, "
                "and the API makes a new one at its next start"
            )
        return key

    def renew(self) -> str:
        """Put a new key in the place of the old one. Raises InvalidSettings where the key comes from the settings."""
        if self._given is not None:
            raise errors.InvalidSettings("the key is set by api.key: change it there")
        return renewed_secret(self._path, _API_KEY_BYTES)

    def principal(self, presented: str | None) -> Principal:
        """Return who presents this: anonymous where nothing, or not the key, is presented."""
        if not presented:
            return ANONYMOUS
        if hmac.compare_digest(presented.encode("utf-8", "replace"), self._current().encode()):
            return Principal("key", KEY_NAME)
        return ANONYMOUS

    def derived(self, purpose: str) -> bytes:
        """Return a secret for one purpose that follows from the key, and from which the key does not."""
        return hmac.digest(self._current().encode(), purpose.encode(), "sha256")

    def _current(self) -> str:
        """Return the key as it is now: one that was renewed holds at once, without a restart."""
        if self._given is not None:
            return self.key()
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return self.key()
        stamp = (found.st_ino, found.st_mtime_ns)
        if stamp != self._stamp:
            self._kept, self._stamp = self.key(), stamp
        return self._kept


def key_file(data_dir: Path) -> Path:
    """Return where the key of an installation is kept."""
    return data_dir / KEY_FILE
