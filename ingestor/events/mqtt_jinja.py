"""A sandboxed Jinja for the value templates that need it; a template can neither reach out nor grow without bound."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, Final

from jinja2 import TemplateError, Undefined, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ingestor import errors
from ingestor.events import decoding
from ingestor.events.mqtt_functions import FILTERS, GLOBALS, TESTS, replaced
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
            return replaced(obj.__self__, *args, **kwargs)
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
    environment.filters = {name: environment.filters[name] for name in _HARMLESS} | dict(FILTERS)
    environment.globals = dict(GLOBALS)
    environment.tests |= TESTS
    return environment
