"""The project's own commands and lists say what they should."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.homeassistant.install import HA_2024, fingerprint, is_installed

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def pinned() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(pin.name): pin for pin in map(Requirement, lines)}


@pytest.fixture
def check_docs() -> ModuleType:
    """The script, loaded as a module."""
    spec = importlib.util.spec_from_file_location("check_docs", ROOT / "scripts" / "check_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_bare_make_lists_the_commands() -> None:
    listed = re.findall(r"^  ([\w-]+) ", make().stdout, re.MULTILINE)

    assert {"run", "test", "check", "bench", "chaos", "docs", "clean"} <= set(listed)


def test_every_command_of_the_makefile_is_listed() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None

    listed = re.findall(r"^  ([\w-]+) ", make().stdout, re.MULTILINE)

    assert set(listed) == set(phony.group(1).split())


def find_python(*folders: Path | str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", ROOT / "scripts" / "find_python"],
        env={"PATH": ":".join(map(str, folders)), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def stand_in(place: Path, script: str) -> Path:
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)
    return place


def test_no_python_that_is_new_enough_is_said_in_one_line(tmp_path: Path) -> None:
    stand_in(tmp_path / "python3", "exit 1")

    found = find_python(tmp_path)

    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr.startswith("No Python 3.11 or newer found")
    assert found.stderr.count("\n") == 1


def test_of_several_pythons_of_a_version_the_quickest_is_taken_unless_one_is_named(tmp_path: Path) -> None:
    stand_in(tmp_path / "a" / "python3.11", "exit 1")
    stand_in(tmp_path / "b" / "python3.11", "echo 500 /slow")
    stand_in(tmp_path / "c" / "python3.11", "echo 40 /quick one")
    named = stand_in(tmp_path / "named", "echo 900 /named")
    folders = [*(str(tmp_path / name) for name in "abc"), "/usr/bin", "/bin"]

    assert find_python(*folders).stdout == "/quick one\n"
    assert find_python(*folders, PYTHON=str(named)).stdout == "/named\n"


def test_every_dependency_is_pinned_to_one_version_that_it_allows() -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    pins = pinned()

    for requirement in map(Requirement, wanted):
        (version,) = pins[canonicalize_name(requirement.name)].specifier
        assert version.operator == "=="
        assert requirement.specifier.contains(version.version)


def test_the_lists_of_versions_name_no_address() -> None:
    lists = [ROOT / "constraints.txt", *(ROOT / "tests" / "homeassistant").glob("requirements-*.txt")]

    text = "\n".join(path.read_text() for path in lists)

    assert len(lists) == 3
    assert not re.search(r"://|^-|@", text, re.MULTILINE)


def test_a_changed_list_makes_an_installed_home_assistant_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HA_INGESTOR_TEST_HOMEASSISTANT_DIR", str(tmp_path))
    assert not is_installed(HA_2024)
    HA_2024.interpreter.parent.mkdir(parents=True)
    HA_2024.interpreter.touch()

    HA_2024.stamp.write_text(fingerprint(HA_2024))
    assert is_installed(HA_2024)
    HA_2024.stamp.write_text("of another list")

    assert not is_installed(HA_2024)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[gone](gone.md)", "there is no such file"),
        ("[here](#nowhere)", "there is no such heading"),
        ("[there](other.md#nowhere)", "there is no such heading"),
        ("![picture](gone.png)", "there is no such file"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(check_docs: ModuleType, tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "other.md").write_text("# Somewhere\n")
    page = tmp_path / "page.md"
    page.write_text(text)

    faults = list(check_docs.broken_links(page))

    assert len(faults) == 1
    assert faults[0].endswith(fault)


def test_links_that_lead_somewhere_are_left_alone(check_docs: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# The `one`, and another\n\n## Twice\n\n## Twice\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md) [b](other.md#the-one-and-another) [c](other.md#twice-1) [d](#here) [e](mailto:a@b)\n"
        "```\n[in code](gone.md)\n```\n"
    )

    assert list(check_docs.broken_links(page)) == []


@pytest.mark.parametrize("path", ["work/main", "root/.cache"])
def test_a_path_of_one_machine_is_found(check_docs: ModuleType, tmp_path: Path, path: str) -> None:
    text = tmp_path / "file.txt"
    text.write_text(f"fine\nsee /{path} for it\n")

    (fault,) = check_docs.forbidden_words(text)

    assert fault.startswith("line 2: a path of one machine")


def test_a_command_that_is_not_there_yet_says_so_and_fails(tmp_path: Path) -> None:
    if (ROOT / "tests" / "chaos" / "run.py").exists():
        pytest.skip("make chaos is there")
    shutil.copy(ROOT / "Makefile", tmp_path)
    target = re.search(r"^chaos:.*\n((?:\t.*\n)+)", (tmp_path / "Makefile").read_text(), re.MULTILINE)
    assert target is not None
    # Without what it depends on, which would install an environment.
    (tmp_path / "Makefile").write_text("chaos:\n" + target.group(1))

    done = subprocess.run(["make", "chaos"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "comes with the next issue" in done.stderr
