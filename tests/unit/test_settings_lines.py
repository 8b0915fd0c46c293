"""A fault in the settings file is told with its line, also within a list of tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestor import errors
from ingestor.settings_lines import lines_of
from ingestor.settings_sources import load_settings

TEXT = '''\
home = "home" # not [a.header]
[api]
port = 8080

[storage]
extra_fields = [
  "attribute:x = 1",
  # ]
  "labels",
]
[[quality.rules]]
name = "first"
kind = "deny"
[[quality.rules]]
name = "second"
reason = """
max = 3
"""
max = 7
'''


def test_every_table_and_key_has_its_line_and_what_is_inside_of_a_value_has_none() -> None:
    found = lines_of(TEXT)

    assert found == {
        ("home",): 1,
        ("api",): 2,
        ("api", "port"): 3,
        ("storage",): 5,
        ("storage", "extra_fields"): 6,
        ("quality", "rules", "0"): 11,
        ("quality", "rules", "0", "name"): 12,
        ("quality", "rules", "0", "kind"): 13,
        ("quality", "rules", "1"): 14,
        ("quality", "rules", "1", "name"): 15,
        ("quality", "rules", "1", "reason"): 16,
        ("quality", "rules", "1", "max"): 19,
    }


@pytest.mark.parametrize(
    ("rule", "reason", "line"),
    [
        ('name = "a"\nkind = "bounds"', "a rule of kind bounds needs min or max", 2),
        ('name = "a"\nkind = "bounds"\nmin = 5\nmax = 3', "min (5) is more than max (3)", 2),
        (
            'name = "a"\nkind = "pattern"\npattern = "a(b"',
            "no regular expression: missing ), unterminated subpattern",
            2,
        ),
        ('name = "a"\nkind = "deny"', "needs entities, domains or device_classes", 2),
        ('name = "a"\nkind = "deny"\nentities = ["x"]\nmax = 3', "max means nothing to a rule of kind deny", 2),
        ('name = "a"\nkind = "cold"', "is not one of the choices", 4),
        ('name = "a"\nkind = "bounds"\nmax = "hot"', "is not a number", 5),
        ('name = "a"\nkind = "bounds"\nmaximum = 3', "is not a setting", 5),
        ('name = "bounds"\nkind = "bounds"\nmax = 3', "bounds is the name of a rule of ours", 2),
    ],
)
def test_a_bad_rule_is_refused_at_start_with_its_line_and_why(
    tmp_path: Path, rule: str, reason: str, line: int
) -> None:
    (tmp_path / "ha-ingestor.toml").write_text(f"# mine\n[[quality.rules]]\n{rule}\n", "utf-8")

    with pytest.raises(errors.InvalidSettings) as caught:
        load_settings(environ={}, cwd=tmp_path)

    assert reason in str(caught.value)
    assert f"ha-ingestor.toml, line {line}\n" in f"{caught.value}\n"


def test_a_severity_that_a_rule_cannot_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidSettings, match="out_of_order can be note or off, not reject"):
        load_settings({"quality.severity": "out_of_order=reject"}, environ={}, cwd=tmp_path)


def test_two_rules_of_one_name_are_refused_with_both_places(tmp_path: Path) -> None:
    rule = '[[quality.rules]]\nname = "a"\nkind = "bounds"\nmax = 3\n'
    (tmp_path / "ha-ingestor.toml").write_text(f"# mine\n{rule}{rule}", "utf-8")

    with pytest.raises(errors.InvalidSettings, match=r"two rules are called a \(0 and 1") as caught:
        load_settings(environ={}, cwd=tmp_path)

    assert "ha-ingestor.toml, line 2\n" in f"{caught.value}\n"
