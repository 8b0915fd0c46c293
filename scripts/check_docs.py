"""Check the texts of the project: links lead somewhere, and no file names a path of somebody's machine or a registry.

Reads what git knows; changes nothing.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent

LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|!\[[^\]\n]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*\s*$", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)

FORBIDDEN = {
    re.compile(r"(?<![\w.-])/(work|root)/[\w.]"): "a path of one machine",
    re.compile(r"\b(pypi|pythonhosted|npmjs|crates|golang|debian|maven)\.(org|com|io)(?=[/:])"): "a registry's address",
}


def tracked_files() -> list[Path]:
    """Return the files that git has or would take."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    """Return a file's text, or None for a binary one."""
    raw = path.read_bytes()
    return None if b"\0" in raw else raw.decode(errors="replace")


def anchors(text: str) -> set[str]:
    """Return the anchors that forges make of the headings of a page."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = base = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number = 0
        while slug in found:
            number += 1
            slug = f"{base}-{number}"
        found.add(slug)
    return found


def broken_links(page: Path) -> Iterator[str]:
    """Yield each relative link of a page that leads nowhere."""
    text = page.read_text()
    for one, other in LINK.findall(FENCE.sub("", text)):
        link = one or other
        if ELSEWHERE.match(link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists():
            yield f"link to {link}: there is no such file"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text()):
            yield f"link to {link}: there is no such heading"


def forbidden_words(path: Path) -> Iterator[str]:
    """Yield each line of a file that would be wrong on another machine."""
    for number, line in enumerate((text_of(path) or "").splitlines(), start=1):
        for pattern, what in FORBIDDEN.items():
            if found := pattern.search(line):
                yield f"line {number}: {what}: {found.group()}"


def main() -> None:
    """Print every fault; end with 1 where there is one."""
    files = tracked_files()
    faults = [(path, fault) for path in files if path.suffix == ".md" for fault in broken_links(path)]
    faults += [(path, fault) for path in files for fault in forbidden_words(path)]
    for path, fault in faults:
        print(f"{path.relative_to(ROOT)}: {fault}")
    if faults:
        raise SystemExit(1)
    print(f"The texts are in order: {len(files)} files read.")


if __name__ == "__main__":
    main()
