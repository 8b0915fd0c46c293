"""In which line of a TOML file each table and key begins: Python's reader does not say; checks nothing."""

from __future__ import annotations

import re
from typing import Final

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=(.*)$"""
)
_PART: Final = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_LONG: Final = re.compile(r'"""|\'\'\'')
#: What is no bracket of a list: texts and comments.
_TEXT: Final = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'|#.*')

Path = tuple[str, ...]


def lines_of(text: str) -> dict[Path, int]:
    """Return the line (from 1) of each table and key, by its path, in which an entry of a list has its number."""
    found: dict[Path, int] = {}
    entries: dict[Path, int] = {}
    table: Path = ()
    skip = _Skipping()
    for number, line in enumerate(text.splitlines(), 1):
        if skip.over(line):
            continue
        if header := _HEADER.match(line):
            table = _table(_parts(header[2]), entries, is_list=header[1] == "[[")
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, *_parts(key[1])), number)
            skip.after(key[2])
    return found


def _parts(name: str) -> Path:
    return tuple(part.strip("\"'") for part in _PART.findall(name))


def _table(name: Path, entries: dict[Path, int], *, is_list: bool) -> Path:
    """Return the path of a table: a list of tables on the way stands for its newest entry."""
    path: Path = ()
    for place, part in enumerate(name):
        path = (*path, part)
        if is_list and place == len(name) - 1:
            entries[path] = entries.get(path, -1) + 1
        if path in entries:
            path = (*path, str(entries[path]))
    return path


class _Skipping:
    """Knows whether a line is inside of a value that goes over several lines."""

    def __init__(self) -> None:
        self._depth = 0
        self._end = ""

    def over(self, line: str) -> bool:
        """Tell whether this line belongs to a value that began before."""
        if self._end:
            if self._end in line:
                self._end = ""
            return True
        if self._depth:
            self._depth += _opened(line)
            return True
        return False

    def after(self, value: str) -> None:
        """Take in how a value begins."""
        if (long := _LONG.search(value)) and long[0] not in value[long.end() :]:
            self._end = long[0]
        else:
            self._depth = max(0, _opened(value))


def _opened(text: str) -> int:
    bare = _TEXT.sub("", text)
    return sum(bare.count(sign) for sign in "[{") - sum(bare.count(sign) for sign in "]}")
