"""Makes the tables of the metadata database, in a process that ends: who only starts others keeps nothing of it."""

from __future__ import annotations

import subprocess
import sys

from ingestor import bootstrap, errors

_BAD_SETTINGS = 2


class MakingTables:
    """A process that makes them, from the moment this is made."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "workers.tables"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # noqa: S603 -- our own module

    def wait(self) -> None:
        """Wait until they are made. Raises InvalidSettings or Fatal, with what the process said."""
        _, said = self._process.communicate()
        if self._process.returncode:
            kind = errors.InvalidSettings if self._process.returncode == _BAD_SETTINGS else errors.Fatal
            raise kind(said.strip())


def main() -> int:
    """Bring the database up to date; exit code 2 for bad settings, 1 for a database that is away or newer."""
    try:
        bootstrap.open_metadata(bootstrap.settings()).dispose()
    except errors.InvalidSettings as error:
        sys.stderr.write(f"{error}\n")
        return _BAD_SETTINGS
    except errors.IngestorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
