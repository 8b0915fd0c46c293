"""What protoc makes of the .proto file is committed, and is what it makes of it now."""

from __future__ import annotations

import subprocess
import sys


def test_what_protoc_made_is_current() -> None:
    command = [sys.executable, "scripts/generate_grpc.py", "--check"]

    told = subprocess.run(command, check=False, capture_output=True, text=True)

    assert (told.stdout, told.returncode) == ("", 0)
