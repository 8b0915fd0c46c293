"""What `compose/prometheus` holds is understood by a real Prometheus: its configuration, its rules, their own tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.servers import MissingServerError, find_program

FOLDER = Path(__file__).resolve().parents[2] / "compose" / "prometheus"


@pytest.mark.parametrize(
    "words",
    [("check", "config", "prometheus.yml"), ("check", "rules", "rules.yml"), ("test", "rules", "rules_test.yml")],
    ids=lambda words: " ".join(words[:2]),
)
def test_promtool_finds_no_fault(words: tuple[str, ...]) -> None:
    try:
        program = find_program("promtool", "prometheus")
    except MissingServerError as error:
        missing(error)

    done = subprocess.run([program, *words], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout
