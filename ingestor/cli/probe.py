"""The check for a container or a service manager: `python -m ingestor.cli.probe PROCESS`; prints nothing but a failure.

The same as `ha-ingestor health PROCESS` at a tenth of its cost, for what is asked every half minute: it reads no
settings, so the data folder must stand in HA_INGESTOR_DATA_DIR.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ingestor.queue.vitals import vitals_of


def main(arguments: list[str]) -> int:
    """Return 0 where such a process is there and all live (`--ready`: and can do their work), else 1."""
    must_be_ready = "--ready" in arguments
    wanted = next((word for word in arguments if not word.startswith("--")), "all")
    folder = os.environ.get("HA_INGESTOR_DATA_DIR")
    if not folder:
        sys.stderr.write("HA_INGESTOR_DATA_DIR is not set\n")
        return 1
    found = vitals_of(Path(folder), wanted)
    bad = [one for one in found if not one.alive or (must_be_ready and not one.ready)]
    for one in bad:
        sys.stderr.write(f"{one.name} {'is not ready' if one.alive else 'shows no sign of life'}: {one.detail}\n")
    if not found:
        sys.stderr.write(f"no process {wanted!r} in {folder}\n")
    return int(bool(bad) or not found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
