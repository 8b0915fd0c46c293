"""`make compose-check`: build our image and run the composition as written, without an engine; needs root.

First the steps of the Dockerfile in a clean Debian; then each service of ours in that root as an engine would run it.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.compose.container import Containers
from tests.compose.file import FOLDER
from tests.compose.image import CannotBuildError, Stage, build

_PROFILES = ("core", "demo", "monitoring")
_FIRST = ("broker", "demo")
_HEALTHY_WITHIN_S = 600.0
_STORED_WITHIN_S = 60.0
#: Once it has let its clients go, the API's server ends by the signal that it was sent.
_ENDED_WELL = (0, -signal.SIGTERM)
#: What a container may not do: write its image, be root, take rights.
_FORBIDDEN = {
    "write into its image": "touch /opt/ha-ingestor/x",
    "write beside its folders": "touch /x",
    "write the system's folders": "touch /etc/x /usr/x /var/x",
    "change its user": "python3 -c 'import os; os.setuid(0)'",
    "have rights": "grep -q 'CapEff:.*[1-9a-f]' /proc/self/status",
}
_ALLOWED = {
    "write its data folder": "touch /data/x && rm /data/x",
    "write /tmp": "touch /tmp/x && rm /tmp/x",
    "be uid 10001": 'test "$(id -u)" = 10001',
}


def main() -> int:
    """Build, run, check; exit 1 where something fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, help="where the roots are kept for the next time (a temporary folder)")
    options = parser.parse_args()
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compose-")))
        temporary.chmod(0o755)
        work = options.work or temporary / "image"
        work.mkdir(parents=True, exist_ok=True)
        try:
            stage = build(FOLDER / "Dockerfile", FOLDER.parent, work)
            _run_image(stage, _made(temporary / "run"))
        except (AssertionError, CannotBuildError, TimeoutError) as error:
            _say(f"FAILED: {error}")
            return 1
        except subprocess.CalledProcessError as error:
            _say(f"FAILED: {error}\n{(error.stdout or b'')[-3000:]!r}\n{(error.stderr or b'')[-3000:]!r}")
            return 1
    _say("all steps and services ran as written")
    return 0


def _run_image(stage: Stage, work: Path) -> None:
    _say(f"the services in that root, user {stage.user}, read-only")
    with Containers(stage, work, _PROFILES) as containers:
        for name in _FIRST:
            containers.start(name)
            _await_healthy(containers, name)
        rest = [name for name in containers.services if name not in _FIRST]
        for name in rest:
            containers.start(name)
        _await_healthy(containers, *rest)
        for what, words in _ALLOWED.items():
            assert containers.inside("enrich", ["sh", "-c", words]).returncode == 0, f"a container cannot {what}"
        for what, words in _FORBIDDEN.items():
            assert containers.inside("enrich", ["sh", "-c", words]).returncode != 0, f"a container can {what}"
        _say(f"  a container can {', '.join(_ALLOWED)}; it cannot {', '.join(_FORBIDDEN)}")
        _await_events(lambda: containers.inside("api", ["ha-ingestor", "events", "--limit", "5", "--json"]).stdout)
        for name in (*rest, *reversed(_FIRST)):
            code, seconds = containers.stop(name)
            _say(f"  {name}: stopped after {seconds:.1f} s, exit code {code}")
            assert code in _ENDED_WELL, name


def _await_healthy(containers: Containers, *names: str) -> None:
    began, waiting = time.monotonic(), list(names)
    while waiting:
        for name in [name for name in waiting if containers.healthy(name)]:
            _say(f"  {name}: healthy after {time.monotonic() - began:.0f} s")
            waiting.remove(name)
        bad = containers.ended() or (waiting if time.monotonic() - began > _HEALTHY_WITHIN_S else [])
        assert not bad, f"{bad[0]}\n{containers.log_path(bad[0]).read_text(errors='replace')[-3000:]}"
        time.sleep(2.0)  # a check is a process: asked more often it would delay what it asks for


def _await_events(shown: Callable[[], str]) -> None:
    deadline = time.monotonic() + _STORED_WITHIN_S
    while not (found := [line for line in shown().splitlines() if line.startswith("{")]):
        assert time.monotonic() < deadline, "no event is stored"
        time.sleep(0.5)
    _say(f"  {len(found)} events read back")


def _made(folder: Path) -> Path:
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def _say(sentence: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {sentence}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
