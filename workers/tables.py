"""Makes the tables of the metadata database, in a process that ends: who only starts others keeps nothing of it."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from ingestor import bootstrap, errors
from ingestor.cli.exit_codes import ExitCode
from ingestor.cli.failing import ended

_KINDS: Final[dict[int, type[errors.IngestorError]]] = {
    ExitCode.BAD_SETTINGS: errors.InvalidSettings,
    ExitCode.UNAVAILABLE: errors.StoreUnavailable,
    ExitCode.REFUSED: errors.StoreRefused,
}


class MakingTables:
    """A process that makes them, from the moment this is made."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "workers.tables"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # noqa: S603 -- our own module

    def wait(self) -> None:
        """Wait until they are made. Raises InvalidSettings, StoreUnavailable or Fatal, with what the process said."""
        _, said = self._process.communicate()
        if self._process.returncode:
            raise _KINDS.get(self._process.returncode, errors.Fatal)(said.strip())


def main() -> int:
    """Bring the database up to date; return the exit code: 3 for a database that is away, 1 for a newer one."""
    return ended(_main)


def _main() -> int:
    bootstrap.open_metadata(bootstrap.settings()).dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
