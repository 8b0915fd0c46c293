"""Topic filters: what a filter matches and covers, what a pattern with named parts finds; no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAMED = re.compile(r"\{(\w+)\}")


def matches(topic_filter: str, topic: str) -> bool:
    """Tell whether an MQTT filter matches a topic; wildcards do not match a leading `$`."""
    if topic.startswith("$") and topic_filter[:1] in ("+", "#"):
        return False
    return _covers(topic_filter.split("/"), topic.split("/"))


def covers(wide: str, narrow: str) -> bool:
    """Tell whether each topic that `narrow` matches is matched by `wide`."""
    return _covers(wide.split("/"), narrow.split("/"))


def without_covered(filters: Iterable[str]) -> list[str]:
    """Return the filters without those that others cover: some brokers deliver once for each that matches."""
    found = dict.fromkeys(filters)
    # Only a wildcard covers anything else: of thousands of announced topics none is compared with the others.
    wide = [one for one in found if is_wide(one)]
    return [one for one in found if not any(other != one and covers(other, one) for other in wide)]


def is_wide(topic_filter: str) -> bool:
    """Tell whether a filter has wildcards."""
    return "+" in topic_filter or "#" in topic_filter


def filter_of(pattern: str) -> str:
    """Return the MQTT filter of a pattern with named parts, such as `heating/{room}/temp`.

    A part that is a name and more (`room_{name}`) is a whole level to MQTT.
    """
    return "/".join("+" if _NAMED.search(level) else level for level in pattern.split("/"))


def named_parts(pattern: str) -> re.Pattern[str]:
    """Return an expression that matches the pattern's topics and finds the named parts."""
    levels: list[str] = []
    seen: set[str] = set()
    for level in pattern.split("/"):
        if level == "#":
            return re.compile("/".join(levels) + (r"(?:/.*)?" if levels else ".*"), re.DOTALL)
        levels.append(r"[^/]*" if level == "+" else _level(level, seen))
    return re.compile("/".join(levels))


def _level(level: str, seen: set[str]) -> str:
    """Return the expression of one level; a name that comes again must be the same."""
    parts = _NAMED.split(level)
    texts = [re.escape(text) for text in parts[::2]]
    names = []
    for name in parts[1::2]:
        names.append(f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+)")
        seen.add(name)
    return "".join(text + name for text, name in zip(texts, [*names, ""], strict=True))


def _covers(wide: list[str], narrow: list[str]) -> bool:
    for index, level in enumerate(wide):
        if level == "#":
            return True
        if index >= len(narrow) or narrow[index] == "#":
            return False
        if level != "+" and level != narrow[index]:
            return False
    # `a/#` matches `a` too.
    return len(wide) == len(narrow)
