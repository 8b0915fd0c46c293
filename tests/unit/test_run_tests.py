"""What `make test` says when its two processes end."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_FILE = Path(__file__).resolve().parents[2] / "scripts" / "run_tests.py"
_SPEC = importlib.util.spec_from_file_location("run_tests", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
run_tests = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(run_tests)


@pytest.mark.parametrize(
    ("own", "others", "both"),
    [(0, 0, 0), (1, 0, 1), (0, 1, 1), (5, 0, 0), (0, 5, 0), (5, 5, 5), (5, 1, 1), (2, 5, 2), (-9, 0, -9)],
)
def test_one_failure_is_a_failure_and_nothing_chosen_is_none(own: int, others: int, both: int) -> None:
    assert run_tests.worst(own, others) == both
