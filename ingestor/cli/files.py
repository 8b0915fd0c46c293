"""How commands write a file that somebody names: whole, or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from ingestor import errors

#: What is wrong with the disk, and not with the name that was given.
_OF_THE_DISK: Final = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)


@contextmanager
def whole_file(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Yield what to write to: the file gets its name when it is whole, and what was there stays until then.

    A `private` one is for this user alone. Raises InvalidSettings where the name is none that we may write to, Fatal
    where the disk does not take it.
    """
    try:
        if path.exists() and not path.is_file():  # a device, a pipe: nothing to put in its place
            with path.open("wb") as out:
                yield out
            return
        with _beside(path.resolve(), private=private) as out:
            yield out
    except OSError as error:
        kind = errors.Fatal if error.errno in _OF_THE_DISK else errors.InvalidSettings
        raise kind(f"{path} cannot be written: {error.strerror or error}") from error


@contextmanager
def _beside(target: Path, *, private: bool) -> Iterator[BinaryIO]:
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("wb") as out:
            if private:
                part.chmod(0o600)
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
