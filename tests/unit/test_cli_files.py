"""A file that a command writes is whole or not there, and what was there stays until then."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ingestor import errors
from ingestor.cli.files import whole_file

ROOT = Path(__file__).resolve().parents[2]


def test_a_disk_that_fills_up_leaves_what_was_there(tmp_path: Path) -> None:
    file, fresh = tmp_path / "report.md", tmp_path / "fresh.md"
    file.write_text("before")

    for path in (file, fresh):
        with pytest.raises(errors.Fatal) as refused:
            fill_up(path)
        assert not isinstance(refused.value, errors.InvalidSettings)

    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.md", "before")]


def fill_up(path: Path) -> None:
    with whole_file(path) as out:
        out.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_settings_file_that_the_disk_does_not_take_is_not_there(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -f 1; exec {sys.executable} -B -m ingestor config init"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, list(tmp_path.iterdir())) == (1, []), done.stderr
    assert "ha-ingestor.toml cannot be written: File too large" in done.stderr


def test_a_name_that_cannot_be_written_is_a_wrong_argument(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidSettings, match="No such file or directory"), whole_file(tmp_path / "no" / "file"):
        pass


def test_a_link_stays_one_and_a_private_file_is_never_readable_by_others(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("before")
    link.symlink_to(target)

    with whole_file(link, private=True) as out:
        mode = stat.S_IMODE((tmp_path / "target.part").stat().st_mode)
        out.write(b"after")

    assert link.is_symlink()
    assert (target.read_text(), mode, stat.S_IMODE(target.stat().st_mode)) == ("after", 0o600, 0o600)


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    with whole_file(Path("/dev/null")) as out:
        out.write(b"anything")

    assert Path("/dev/null").is_char_device()
