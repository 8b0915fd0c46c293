"""The command line as a process of its own, whose output goes where a test says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]


def run_into(out: int | IO[str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder of its own, with its standard output going there."""
    return subprocess.run(
        [sys.executable, "-m", "ingestor", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "HA_INGESTOR_DATA_DIR": str(folder / "data"), "PATH": os.environ["PATH"]},
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
