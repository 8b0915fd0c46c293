"""What a template of Home Assistant names, as far as its text tells, and whether only rendering it can tell more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

ENTITY_ID: Final = re.compile(r"\b([a-z][a-z0-9_]*)\.([a-z0-9_]+)\b")
#: What a template asks by a function or `states.domain.object_id`: an entity even if the home has none of that name.
_ASKED: Final = re.compile(
    r"(?:states|is_state|state_attr|is_state_attr|has_value|expand|device_id|area_id|area_name)\s*\(\s*['\"]"
    r"([a-z][a-z0-9_]*\.[a-z0-9_]+)['\"]|\bstates\.([a-z][a-z0-9_]*\.[a-z0-9_]+)"
)
_SIGNS: Final = ("{{", "{%")
#: Entities found by more than a name: by a variable, a name put together, where they stand, all of a domain.
_FOUND_OTHERWISE: Final = re.compile(
    r"\b(?:states|is_state|state_attr|is_state_attr|has_value|expand)\s*"
    r"\(\s*(?:[^'\"\s)]|['\"][a-z0-9_.]*['\"]\s*[~+])"
    r"|\b(?:area|device|floor|label|integration)_(?:entities|devices|areas)\b"
    r"|\bstates\s*(?:\||\[|\}\}|%\}|\)|\s+(?:if|is|and|or)\b)"
    r"|\bstates\.[a-z][a-z0-9_]*\s*(?:\||\[|\}\}|\)|%\})"
)
#: What only a run knows.
_OF_A_RUN: Final = re.compile(r"\b(?:trigger|this|wait|repeat|context)\b\s*[.\[]")
IsEntity = Callable[[str], bool]


def is_template(text: str) -> bool:
    """Tell whether a text is a template."""
    return any(sign in text for sign in _SIGNS)


def template_entities(template: str, is_entity: IsEntity) -> list[str]:
    """Return the entities that a template names: asked by a function, or any name that the home has."""
    asked = [one or other for one, other in _ASKED.findall(template)]
    return list(dict.fromkeys([*asked, *entities_in(template, is_entity)]))


def entities_in(text: str, is_entity: IsEntity) -> list[str]:
    """Return the entities of the home that a text names."""
    return [match.group(0) for match in ENTITY_ID.finditer(text) if is_entity(match.group(0))]


def is_open(template: str) -> bool:
    """Tell whether it depends on more entities than its text names."""
    return is_template(template) and _FOUND_OTHERWISE.search(template) is not None


def can_be_rendered(template: str) -> bool:
    """Tell whether it needs nothing that only a run knows."""
    return _OF_A_RUN.search(template) is None


def open_templates(config: Any) -> list[str]:
    """Return the templates of a configuration that depend on more entities than their text names, each once."""
    return list(dict.fromkeys(text for text in _texts(config) if is_open(text)))


def _texts(config: Any, depth: int = 0) -> Iterable[str]:
    if isinstance(config, str):
        yield config
    elif isinstance(config, dict | list) and depth < _MAX_DEPTH:
        for one in config.values() if isinstance(config, dict) else config:
            yield from _texts(one, depth + 1)


_MAX_DEPTH: Final = 60
