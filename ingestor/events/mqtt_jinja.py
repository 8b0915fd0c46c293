"""A sandboxed Jinja for the value templates that need it; a template can neither reach out nor grow without bound."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import math
import statistics
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from jinja2 import TemplateError, Undefined, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ingestor import errors
from ingestor.events import decoding, mqtt_numbers, mqtt_regex, mqtt_times
from ingestor.events.mqtt_limits import MAX_PAYLOAD, limited_time, require_short, require_small, require_time

_MAX_EXPONENT: Final = 64
#: Jinja's own filters that cannot make much from little.
_HARMLESS: Final = (
    *("abs", "attr", "capitalize", "count", "d", "default", "dictsort", "first", "items", "last", "length", "list"),
    *("lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "string"),
    *("title", "trim", "unique", "upper", "wordcount"),
)
_METHODS: Final = frozenset(
    {
        *("date", "isoformat", "timestamp", "total_seconds"),
        *("capitalize", "count", "endswith", "find", "get", "index", "isalnum", "isalpha", "isdecimal", "isdigit"),
        *("isnumeric", "items", "keys", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace"),
        *("rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper", "values"),
    }
)
#: Assignments may double a text so many times.
_MAX_JOINS: Final = 8
_JOINING: Final = (nodes.Concat, nodes.List, nodes.Tuple, nodes.TemplateData)
_REFUSED: Final = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Macro, nodes.CallBlock)


_TIMES: Final[dict[str, Callable[..., Any]]] = {
    "as_datetime": mqtt_times.as_datetime,
    "as_timestamp": mqtt_times.as_timestamp,
    "timestamp_custom": mqtt_times.timestamp_custom,
    "timestamp_utc": mqtt_times.timestamp_utc,
}


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja with Home Assistant's number filters, and limits."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Do arithmetic that may grow, within limits."""
        if operator == "**" and (abs(right) > _MAX_EXPONENT or abs(left) > 2**_MAX_EXPONENT):
            raise ValueError("the power is too large")
        if operator == "*" and (hasattr(left, "__len__") or hasattr(right, "__len__")):
            raise ValueError("text and lists are not repeated")
        if operator == "%" and isinstance(left, str):
            raise ValueError("text is not formatted")
        if operator == "*":
            require_small(left, right)
        if operator == "+" and hasattr(left, "__len__") and hasattr(right, "__len__"):
            require_short(len(left) + len(right))
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> None:
        """Leave `format` to the methods that are refused: a width of a thousand million makes much from little."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow the methods of texts, lists and objects that cannot make much from little."""
        if callable(value) and attr not in _METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function or method; `replace` within limits."""
        if getattr(obj, "__name__", "") == "replace":
            return _replaced(obj.__self__, *args, **kwargs)
        return super().call(context, obj, *args, **kwargs)


def render(template: str, payload: str) -> str:
    """Return the rendered text; raises whatever the template's operations raise, TemplateError among it."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"the payload has more than {MAX_PAYLOAD} characters")
    variables: dict[str, Any] = {"value": payload}
    with contextlib.suppress(errors.UndecodableFrame):  # then `value_json` is undefined, as in Home Assistant
        variables["value_json"] = decoding.loads(payload.encode("utf-8", "surrogatepass"))
    pieces: list[str] = []
    length = 0
    with limited_time():
        for piece in compiled(template)(variables):
            length += len(piece)
            require_short(length)
            pieces.append(piece)
    return "".join(pieces)


@functools.lru_cache(maxsize=1024)
def compiled(template: str) -> Callable[[dict[str, Any]], Iterator[str]]:
    """Return the function that renders a template piece by piece. Raises TemplateError."""
    environment = _environment()
    tree = environment.parse(template)
    _check(tree)
    for loop in tree.find_all(nodes.For):
        loop.body.insert(0, _look_at_the_time(loop.lineno))
    rendering = environment.from_string(tree)
    return rendering.generate


def _look_at_the_time(line: int) -> nodes.ExprStmt:
    """Return a statement that ends a loop which takes too long."""
    called = nodes.ImportedName(f"{require_time.__module__}.{require_time.__name__}", lineno=line)
    return nodes.ExprStmt(nodes.Call(called, [], [], None, None, lineno=line), lineno=line)


def _check(tree: nodes.Template) -> None:
    """Refuse what can grow or run without bound."""
    if next(tree.find_all(_REFUSED), None) is not None:
        raise TemplateError("includes, imports and macros are not evaluated")
    if any(next(loop.find_all(nodes.For), None) for loop in tree.find_all(nodes.For)):
        raise TemplateError("loops within loops are not evaluated")
    sets: list[nodes.Node] = [*tree.find_all(nodes.Assign), *tree.find_all(nodes.AssignBlock)]
    if len(sets) > _MAX_JOINS and any(next(one.find_all(_JOINING), None) for one in sets):
        raise TemplateError("too many assignments that join values")


@functools.cache
def _environment() -> _Sandbox:
    environment = _Sandbox(undefined=Undefined)
    environment.filters = {name: environment.filters[name] for name in _HARMLESS}
    environment.filters |= {
        "float": mqtt_numbers.to_float,
        "int": mqtt_numbers.to_int,
        "round": mqtt_numbers.rounded,
        "multiply": mqtt_numbers.multiplied,
        "add": mqtt_numbers.added,
        "replace": _replaced,
        "is_defined": _defined,
        "iif": _iif,
        "bool": _truth,
        "from_json": lambda text: decoding.loads(str(text).encode()),
        "to_json": lambda value: decoding.dumps(value).decode(),
        "tojson": json.dumps,
        "join": _joined,
        "sum": _summed,
        "average": _average,
        "log": _logarithm,
        "sqrt": _root,
        "base64_decode": lambda text: base64.b64decode(text).decode(),
        "base64_encode": lambda text: base64.b64encode(str(text).encode()).decode(),
        "contains": lambda whole, part: part in whole,
        "regex_replace": mqtt_regex.replace,
        "regex_match": mqtt_regex.match,
        "regex_search": mqtt_regex.search,
        "regex_findall": mqtt_regex.findall,
        "regex_findall_index": mqtt_regex.findall_index,
        "bitwise_and": lambda left, right: left & right,
        "bitwise_or": lambda left, right: left | right,
        "bitwise_xor": lambda left, right: left ^ right,
        "ord": ord,
        **_TIMES,
    }
    environment.globals = {
        "float": mqtt_numbers.to_float,
        "int": mqtt_numbers.to_int,
        "bool": _truth,
        "iif": _iif,
        "min": _least,
        "max": _most,
        "range": _range,
        "dict": dict,
        "average": _average,
        "log": _logarithm,
        "sqrt": _root,
        "pi": math.pi,
        "e": math.e,
        "strptime": mqtt_times.strptime,
        "timedelta": timedelta,
        **_TIMES,
    }
    environment.tests |= {
        "is_number": _is_number,
        "list": lambda value: isinstance(value, list),
        "datetime": lambda value: isinstance(value, datetime),
        "match": mqtt_regex.match,
        "search": mqtt_regex.search,
        "contains": lambda whole, part: part in whole,
    }
    environment.filters["is_number"] = environment.globals["is_number"] = _is_number
    return environment


def _replaced(value: Any, old: str, new: str, count: int = -1) -> str:
    text = str(value)
    require_short(len(text) + text.count(str(old)) * len(str(new)))
    return text.replace(str(old), str(new), count)


def _joined(values: Any, between: str = "") -> str:
    texts = [str(value) for value in values]
    require_short(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


def _summed(values: Any, attribute: str | None = None, start: float = 0) -> Any:
    found = [value[attribute] for value in values] if attribute is not None else list(values)
    if not all(isinstance(value, (int, float)) for value in (start, *found)):
        raise ValueError("only numbers are summed")
    return sum(found, start)


def _average(*values: Any) -> float:
    found = values[0] if len(values) == 1 else values
    return statistics.fmean(found)


def _logarithm(value: Any, base: float = math.e) -> float:
    return math.log(float(value), float(base))


def _root(value: Any) -> float:
    return math.sqrt(float(value))


def _defined(value: Any) -> Any:
    if isinstance(value, Undefined):
        raise TemplateError("the value is not defined")
    return value


def _iif(value: Any, if_true: Any = True, if_false: Any = False, if_none: Any = None) -> Any:
    if value is None and if_none is not None:
        return if_none
    return if_true if value else if_false


def _truth(value: Any, default: Any = None) -> Any:
    text = str(value).lower().strip()
    if text in ("1", "true", "yes", "on", "enable", "1.0"):
        return True
    if text in ("0", "false", "no", "off", "disable", "0.0"):
        return False
    if default is None:
        raise ValueError(f"bool got {text[:80]!r}, and has no default")
    return default


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (ValueError, TypeError):
        return False


def _least(*values: Any) -> Any:
    return min(values[0]) if len(values) == 1 else min(values)


def _most(*values: Any) -> Any:
    return max(values[0]) if len(values) == 1 else max(values)


def _range(*limits: int) -> range:
    found = range(*limits)
    if len(found) > 1000:  # noqa: PLR2004 - no payload has more to count
        raise ValueError("the range is too long")
    return found
