"""In which spellings a name of an area or a device is stored; a store compares letter by letter. Asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ingestor.storage.schema import tag_text


def spellings_of(names: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return names as they are given and as they are known, whatever their case; compared as stores keep them."""
    asked = [tag_text(name) for name in names]
    folded = {name.casefold() for name in asked}
    stored = map(tag_text, known)
    return tuple(sorted({*asked, *(name for name in stored if name.casefold() in folded)}))
