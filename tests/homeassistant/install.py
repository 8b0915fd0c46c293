"""Installs the real Home Assistants of the tests, each into an environment of its own; starts none of them.

By default they lie in `.cache/` of the checkout, or where `HA_INGESTOR_TEST_HOMEASSISTANT_DIR` says (to share them).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers import MissingServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class NoPythonError(MissingServerError):
    """The Python that a version of Home Assistant runs on is not on this machine."""


@dataclass(frozen=True, slots=True)
class Release:
    """A version of Home Assistant, the Python it runs on, and the version of that it asks for."""

    version: str
    python: str
    asks_for: str

    @property
    def environment(self) -> Path:
        """Where its environment lies."""
        parent = os.environ.get("HA_INGESTOR_TEST_HOMEASSISTANT_DIR") or ROOT / ".cache"
        return Path(parent).resolve() / f"homeassistant-{self.version}"

    @property
    def interpreter(self) -> Path:
        """The Python inside its environment."""
        return self.environment / "bin" / "python"

    @property
    def requirements(self) -> Path:
        """The list of everything that is installed."""
        return HERE / f"requirements-{self.version}.txt"

    @property
    def stamp(self) -> Path:
        """The file that tells what was installed, written last."""
        return self.environment / ".installed"


HA_2024 = Release("2024.3.3", python="3.11", asks_for="3.11.0")
#: It asks for 3.13.2, and runs on 3.13.0 too: `start.py` takes care of that.
HA_2026 = Release("2026.2.3", python="3.13", asks_for="3.13.2")
RELEASES = (HA_2024, HA_2026)


def say(text: str) -> None:
    """Tell the person at the terminal, in order with what uv prints."""
    sys.stderr.write(f"{text}\n")


def fingerprint(release: Release) -> str:
    """Return what the stamp of an up-to-date environment says."""
    return hashlib.sha256(release.requirements.read_bytes()).hexdigest()


def is_installed(release: Release) -> bool:
    """Tell whether the environment is there, is complete and is the one that is listed."""
    try:
        return release.stamp.read_text() == fingerprint(release) and release.interpreter.exists()
    except FileNotFoundError:
        return False


def candidates(python: str) -> Iterator[str]:
    """Yield where a Python of a version such as 3.13 may be: our own, on PATH, among pyenv's."""
    yield sys.executable
    yield f"python{python}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from (str(path) for path in sorted(pyenv.glob(f"versions/{python}.*/bin/python{python}"), reverse=True))


def find_python(python: str) -> str:
    """Return the path of a Python of that version, outside of any environment; raise `NoPythonError` without one."""
    question = "import sys; print('%d.%d' % sys.version_info[:2], sys._base_executable)"
    for candidate in candidates(python):
        # A name on PATH may be a stand-in that only fails: ask it.
        try:
            asked = subprocess.run([candidate, "-c", question], capture_output=True, text=True, check=False)
        except OSError:
            continue
        version, _, path = asked.stdout.strip().partition(" ")
        if asked.returncode == 0 and version == python:
            return path
    raise NoPythonError(f"no Python {python} is on this machine")


def uv(*arguments: str | Path) -> None:
    """Run uv: the one beside our Python, else the one on PATH."""
    program = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if program is None:
        raise MissingServerError("uv is not installed (make check installs it)")
    # Trust what this machine trusts, as pip does.
    environment = {"UV_SYSTEM_CERTS": "true", **os.environ}
    environment.pop("VIRTUAL_ENV", None)
    subprocess.run([program, *map(str, arguments)], check=True, env=environment)


def install(release: Release) -> None:
    """Make the environment of a release, unless it is there."""
    if is_installed(release):
        return
    python = find_python(release.python)
    say(f"Installing Home Assistant {release.version} into {release.environment} ...")
    uv("venv", "--quiet", "--clear", "--python", python, release.environment)
    target = ("--python", release.interpreter, "--python-version", release.asks_for)
    uv("pip", "install", "--quiet", *target, "--requirement", release.requirements)
    release.stamp.write_text(fingerprint(release))


def main() -> int:
    """Install every release that this machine can run; fail for a missing one in CI, but for the newer Python."""
    failed = False
    for release in RELEASES:
        try:
            install(release)
        except NoPythonError as error:
            failed |= release is HA_2024
            say(f"Home Assistant {release.version} is left out, its tests are skipped: {error}")
        except (MissingServerError, subprocess.CalledProcessError) as error:
            failed = True
            say(f"Home Assistant {release.version} could not be installed: {error}")
    return int(failed and os.environ.get("CI") == "true")


if __name__ == "__main__":
    sys.exit(main())
