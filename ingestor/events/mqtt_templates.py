"""Evaluates value templates of MQTT discovery as Home Assistant does: plain ones here, the rest in sandboxed Jinja."""

from __future__ import annotations

import functools
import re
from typing import Any, Final

from ingestor import errors
from ingestor.events import decoding, mqtt_jinja, mqtt_numbers

#: `{{ value_json.a['b'][0] | float | round(1) }}`: a path and filters with plain arguments.
_PLAIN: Final = re.compile(
    r"\{\{-?\s*(?P<root>value|value_json)"
    r"(?P<path>(?:\.[A-Za-z_]\w*|\[\s*(?:'[^'\\]*'|\"[^\"\\]*\"|\d{1,9})\s*\])*)"
    r"(?P<filters>(?:\s*\|\s*(?:is_defined|float|int|round)\s*(?:\(\s*-?\d*(?:\.\d+)?\s*\))?)*)\s*-?\}\}\Z"
)
_STEP: Final = re.compile(r"\.(\w+)|\[\s*(?:'([^']*)'|\"([^\"]*)\"|(\d+))\s*\]")
_FILTER: Final = re.compile(r"\|\s*(\w+)\s*(?:\(\s*([^)\s]*)\s*\))?")
#: In Jinja `value_json.items` is the method, not the key.
_METHODS: Final = frozenset(dir(dict)) | frozenset(dir(list)) | frozenset(dir(str))
_MISSING: Final = object()

_Step = str | int
_Filter = tuple[str, str | None]
_Plain = tuple[str, tuple[_Step, ...], tuple[_Filter, ...]]


def evaluate(template: str, payload: str) -> str:
    """Return what a template makes of a payload: the text of a state; "None" is `unknown`.

    Raises InvalidEvent("template_failed") where Home Assistant, too, would log an error, and for templates that ask
    for what only Home Assistant knows.
    """
    plain = parse_plain(template)
    try:
        found = _MISSING if plain is None else _evaluate_plain(plain, payload)
        text = mqtt_jinja.render(template, payload) if found is _MISSING else str(found)
    except errors.InvalidEvent:
        raise
    except Exception as error:
        # Jinja passes on whatever the template's own operations raise.
        raise errors.InvalidEvent("template_failed", f"{template[:200]!r}: {error}"[:400]) from error
    text = decoding.whole_text(text.strip())
    return "unknown" if text == "None" else text


@functools.lru_cache(maxsize=4096)
def parse_plain(template: str) -> _Plain | None:
    """Return root, path and filters of a plain template; None for one that takes Jinja."""
    found = _PLAIN.match(template.strip())
    if found is None:
        return None
    steps: list[_Step] = []
    for name, single, double, index in _STEP.findall(found["path"]):
        if name and name in _METHODS:
            return None
        steps.append(int(index) if index else name or single or double)
    if found["root"] == "value" and steps:
        return None
    filters = tuple((name, argument or None) for name, argument in _FILTER.findall(found["filters"]))
    return found["root"], tuple(steps), filters


def _evaluate_plain(plain: _Plain, payload: str) -> Any:
    """Return the value; _MISSING where anything is unusual, for Jinja to decide."""
    root, steps, filters = plain
    try:
        value: Any = payload if root == "value" else decoding.loads(payload.encode("utf-8", "surrogatepass"))
    except errors.UndecodableFrame:
        return _MISSING
    for step in steps:
        if not (step in value if isinstance(value, dict) else isinstance(value, list) and _within(step, value)):
            return _MISSING
        value = value[step]
    for name, argument in filters:
        value = _FILTERS[name](value, *(() if argument is None else (mqtt_numbers.literal(argument),)))
    return value


def _within(step: _Step, value: list[Any]) -> bool:
    return isinstance(step, int) and step < len(value)


_FILTERS: Final[dict[str, Any]] = {
    "is_defined": lambda value: value,
    "float": mqtt_numbers.to_float,
    "int": mqtt_numbers.to_int,
    "round": mqtt_numbers.rounded,
}
