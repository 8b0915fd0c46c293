"""`make test`: unit, contract and fuzz tests beside all others, in a process that gives way; says how both ended.

The others wait for servers most of their time. Where a file or folder is named there is one process and no more to it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

BESIDE = ("tests/unit", "tests/contract", "tests/fuzz")
#: Two runs that choose from the same ports would now and then choose the same one.
PORTS, PORTS_BESIDE = "20000-27000", "27000-32000"
_NOTHING_CHOSEN = 5
_LOWEST = 19


def main() -> int:
    """Run the tests that are asked for; return 0 where all have passed."""
    arguments = sys.argv[1:]
    pytest = [sys.executable, "-m", "pytest"]
    if any(_wants_one(word) for word in arguments):
        return subprocess.run([*pytest, *arguments], check=False).returncode
    begun = time.monotonic()
    with tempfile.TemporaryFile() as out:
        beside = subprocess.Popen(
            [*pytest, *BESIDE, "-p", "no:cacheprovider", *arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TESTS_PORTS": PORTS_BESIDE},
        )
        psutil.Process(beside.pid).nice(_LOWEST)
        ignored = [f"--ignore={folder}" for folder in BESIDE]
        try:
            environment = {**os.environ, "TESTS_PORTS": PORTS}
            others = subprocess.run([*pytest, *ignored, *arguments], env=environment, check=False).returncode
            own = beside.wait()
        finally:
            beside.kill()
        out.seek(0)
        print(f"\n{', '.join(BESIDE)}, which ran beside them:", flush=True)
        sys.stdout.flush()
        sys.stdout.buffer.write(out.read())
    print(f"all tests took {time.monotonic() - begun:.0f} s", flush=True)
    return worst(own, others)


def _wants_one(word: str) -> bool:
    """Tell whether what is asked for is a place, or a report that two would write over one another."""
    if word.startswith("-"):
        return word.startswith(("--junit", "--cov"))
    return Path(word.partition("::")[0]).exists()


def worst(own: int, others: int) -> int:
    """Return the code of both: that one of them had nothing to do is no failure."""
    codes = {own, others} - {0}
    if not codes or codes == {_NOTHING_CHOSEN}:
        return _NOTHING_CHOSEN if (own, others) == (_NOTHING_CHOSEN, _NOTHING_CHOSEN) else 0
    return min(codes - {_NOTHING_CHOSEN})


if __name__ == "__main__":
    sys.exit(main())
