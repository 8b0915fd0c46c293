"""Make `.venv` with the pinned dependencies and the project itself; needs only Python (and uses uv if it can).

Reads pyproject.toml and constraints.txt through pip or uv, never a list of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
CONSTRAINTS = ["--constraint", "constraints.txt"]


def works(*command: str | Path) -> bool:
    """Tell whether a command is there and ends well."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run(*command: str | Path) -> bool:
    """Run a command in the project's folder, its output ours; tell whether it ended well."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def create() -> None:
    """Make an empty environment, unless there is one that works."""
    if works(PYTHON, "-m", "pip", "--version"):
        return
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    if works(sys.executable, "-c", "import ensurepip") and run(sys.executable, "-m", "venv", ENVIRONMENT):
        return
    if (uv := shutil.which("uv")) and run(uv, "venv", "--seed", "--python", sys.executable, ENVIRONMENT):
        return
    raise SystemExit(f"{sys.executable} cannot make a virtual environment (Debian: apt-get install python3-venv)")


def find_uv() -> str | None:
    """Return uv from PATH or from the environment; put it into the environment where there is none."""
    inside = ENVIRONMENT / "bin" / "uv"
    if found := shutil.which("uv") or shutil.which(inside):
        return found
    # Not every platform has uv: pip does the same, more slowly.
    works(PYTHON, "-m", "pip", "install", "--quiet", *CONSTRAINTS, "uv")
    return shutil.which(inside)


def install(what: list[str]) -> bool:
    """Install the project with uv, or with pip where uv is not there or cannot."""
    if uv := find_uv():
        # Compiled once here, not by a dozen processes at each start.
        if run(uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", PYTHON, *CONSTRAINTS, *what):
            return True
        print("uv could not install it: trying pip.", flush=True)
    # Dependency groups came with pip 25.1, which is newer than what Python 3.11 carries.
    newer = run(PYTHON, "-m", "pip", "install", "--quiet", "--upgrade", "pip>=25.1")
    return newer and run(PYTHON, "-m", "pip", "install", "--quiet", *CONSTRAINTS, *what)


def main() -> None:
    """Make the environment; with `--dev` also what tests and checks need."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also what tests and checks need")
    dev = parser.parse_args().dev
    os.environ.pop("VIRTUAL_ENV", None)  # uv would complain about another one
    os.environ.setdefault("UV_SYSTEM_CERTS", "true")  # trust what this machine trusts, as pip does
    print(f"Installing into .venv ({sys.version.split()[0]}) ...", flush=True)
    create()
    if not install(["--editable", ".", *(["--group", "dev"] if dev else [])]):
        raise SystemExit("the dependencies could not be installed: see above")
    print("Installed.")


if __name__ == "__main__":
    main()
