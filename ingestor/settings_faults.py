"""What is wrong with the settings, in words: key, value, reason, expectation, origin; shows no secret."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ingestor.settings import Settings
from ingestor.settings_keys import Key, all_keys, key_named, keys_of, variable_of

if TYPE_CHECKING:
    from ingestor.settings_layers import Layers

_LONGEST_VALUE: Final = 60
_PASSWORD_IN_URL: Final = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")
_SECRET_IN_QUERY: Final = re.compile(r"([?&](?:token|password|secret|api_key)=)[^&\s]+", re.IGNORECASE)
#: What pydantic says, said shorter; the expectation stands beside it.
_PROBLEMS: Final = {
    "missing": "is missing",
    "int_parsing": "is not a whole number",
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_parsing": "is not a number",
    "float_type": "is not a number",
    "bool_parsing": "is neither true nor false",
    "bool_type": "is neither true nor false",
    "string_type": "is not a text",
    "string_pattern_mismatch": "has letters that are not allowed, or is too long",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
    "literal_error": "is not one of the choices",
    "tuple_type": "is not a list",
    "model_type": "is not a table",
    "model_attributes_type": "is not a table",
    "path_type": "is not a path",
    "greater_than": "is too small",
    "greater_than_equal": "is too small",
    "less_than": "is too large",
    "less_than_equal": "is too large",
    "finite_number": "is not finite",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `origin` says where the value came from; `value` is "" where it must not be shown."""

    key: str
    problem: str
    expected: str
    origin: str
    value: str = ""
    variable: str = ""


def explain(faults: Sequence[Fault]) -> str:
    """Return the message that lists every fault."""
    count = "One setting is wrong" if len(faults) == 1 else f"{len(faults)} settings are wrong"
    return "\n".join([f"{count}:", *(_told(fault) for fault in faults)])


def _told(fault: Fault) -> str:
    lines = [f"  {fault.key}{f' = {fault.value}' if fault.value else ''}: {fault.problem}"]
    if fault.expected:
        lines.append(f"      expected: {fault.expected}")
    if fault.origin:
        lines.append(f"      from: {fault.origin}")
    if fault.variable and fault.variable not in fault.origin:
        lines.append(f"      as a variable: {fault.variable}")
    return "\n".join(lines)


def faults_of(layers: Layers) -> list[Fault]:
    """Return every fault of the layers.

    A check across groups speaks only when each group is in order; so faulty values are taken away and
    the rest is checked again, until nothing new is found.
    """
    faults = list(layers.faults)
    values = copy.deepcopy(layers.values)
    for _ in range(len(all_keys())):
        try:
            Settings.model_validate(values)
            break
        except ValidationError as error:
            found = error.errors(include_url=False)
            faults += [_fault(detail, layers) for detail in found]
            taken = [_take_away(values, detail["loc"]) for detail in found]
            if not all(taken):
                break
    return sorted(faults, key=lambda fault: fault.key)


def _take_away(values: Any, path: tuple[int | str, ...]) -> bool:
    """Remove a faulty value; False when there is nothing to remove (a check of the whole tree)."""
    for step in path[:-1]:
        values = values[step] if _has(values, step) else None
    if not path or not _has(values, path[-1]):
        return False
    if isinstance(values, list):
        values.clear()
    else:
        del values[path[-1]]
    return True


def _has(values: Any, step: int | str) -> bool:
    return (isinstance(values, dict) and step in values) or (
        isinstance(values, list) and isinstance(step, int) and step < len(values)
    )


def _fault(detail: ErrorDetails, layers: Layers) -> Fault:
    path = tuple(str(step) for step in detail["loc"])
    name = ".".join(path)
    origin = layers.origin_of(path) + layers.line_of(path) if path else ""
    if detail["type"] == "extra_forbidden":
        return Fault(name, "is not a setting", did_you_mean(name, _siblings(path)), origin)
    key = _key_at(path)
    return Fault(
        key=name or "settings",
        problem=_problem(detail),
        expected=key.expected if key else "",
        origin="" if origin == "default" else origin,
        value=_shown(detail["input"], key),
        variable=variable_of(path) if key_named(name) else "",
    )


def _problem(detail: ErrorDetails) -> str:
    if detail["type"] == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    return _PROBLEMS.get(detail["type"], detail["msg"])


def _shown(value: Any, key: Key | None) -> str:
    if key is None or key.secret or value is None or isinstance(value, (dict, list, tuple)):
        return ""
    text = hide_in_url(repr(value))
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def hide_in_url(text: str) -> str:
    """Hide the password and the tokens that an address holds."""
    return _SECRET_IN_QUERY.sub(r"\1****", _PASSWORD_IN_URL.sub(r"\1****@", text))


def _key_at(path: tuple[str, ...]) -> Key | None:
    """Return the key at a path, also within an entry of a list."""
    for length in range(len(path), 0, -1):
        key = key_named(".".join(path[:length]))
        if key is None or length == len(path):
            if key is not None:
                return key
            continue
        inner = path[length + 1 :]
        below = keys_of(key.group_type) if key.group_type else ()
        return next((item for item in below if item.path == inner), key)
    return None


def _siblings(path: tuple[str, ...]) -> list[str]:
    numbers = [position for position, step in enumerate(path) if step.isdigit()]
    if not numbers:
        return [key.name for key in all_keys()]
    start = numbers[0]
    listed = key_named(".".join(path[:start]))
    if listed is None or listed.group_type is None:
        return []
    return [".".join((*path[: start + 1], *key.path)) for key in keys_of(listed.group_type)]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a sentence with the known name that is most like a wrong one; "" if none is near."""
    plain = {_plain(known): known for known in names}
    found = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.75)
    return f"did you mean {plain[found[0]]}?" if found else "see `ha-ingestor config show` for every setting"


def _plain(name: str) -> str:
    return re.sub(r"[_.\s-]+", "_", name.lower())


def unreadable(what: Path | str, error: Exception, path: str = "") -> Fault:
    """Return the fault of a file that cannot be read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "not UTF-8 text"
    return Fault(str(what), f"cannot be read ({reason})", "a file of UTF-8 text that this user may read", path)
