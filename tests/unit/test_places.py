"""What a process says where it cannot have its data folder or its port."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestor import errors
from ingestor.cli.places import require_data_dir


def test_a_data_folder_is_made_and_marked(tmp_path: Path) -> None:
    require_data_dir(tmp_path / "a" / "b")

    assert (tmp_path / "a" / "b" / ".ha-ingestor").is_file()


def test_a_file_in_the_place_of_the_data_folder_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")

    with pytest.raises(
        errors.InvalidSettings, match=r"data: cannot be written \(File exists\); .* HA_INGESTOR_DATA_DIR"
    ):
        require_data_dir(tmp_path / "data")
