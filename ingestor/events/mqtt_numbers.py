"""Home Assistant's number filters for templates, which differ from Jinja's own: without a default they fail."""

from __future__ import annotations

import math
from typing import Any, Final

_NONE: Final = object()
#: No float has more digits; a power of ten beyond takes minutes to compute.
_MAX_DIGITS: Final = 400


def literal(text: str) -> int | float:
    """Return the number that a template names."""
    return float(text) if "." in text else int(text)


def to_float(value: Any, default: Any = _NONE) -> Any:
    """Return a float; the default, or ValueError, where it is none."""
    try:
        return float(value)
    except (ValueError, TypeError):
        return _default("float", value, default)


def to_int(value: Any, default: Any = _NONE, base: int = 10) -> Any:
    """Return a whole number, as Jinja cuts it; the default, or ValueError, where it is none."""
    try:
        if isinstance(value, str):
            try:
                return int(value, base)
            except ValueError:
                return int(float(value))
        return int(value)
    except (ValueError, TypeError, OverflowError):
        return _default("int", value, default)


def rounded(value: Any, precision: int = 0, method: str = "common", default: Any = _NONE) -> Any:
    """Return the number rounded; `method` is common, ceil, floor or half. Without a precision it is whole."""
    try:
        number = float(value)
        scale = _power_of_ten(precision)
        if method == "ceil":
            number = math.ceil(number * scale) / scale
        elif method == "floor":
            number = math.floor(number * scale) / scale
        elif method == "half":
            number = round(number * 2) / 2
        else:
            number = round(number, precision)
        return int(number) if precision == 0 else number
    except (ValueError, TypeError, OverflowError):
        return _default("round", value, default)


def _power_of_ten(exponent: int) -> float:
    if abs(exponent) > _MAX_DIGITS:
        raise OverflowError(f"{exponent} digits")
    return float(10**exponent)


def multiplied(value: Any, factor: Any, default: Any = _NONE) -> Any:
    """Return the product as a float."""
    try:
        return float(value) * factor
    except (ValueError, TypeError):
        return _default("multiply", value, default)


def added(value: Any, amount: Any, default: Any = _NONE) -> Any:
    """Return the sum as a float."""
    try:
        return float(value) + amount
    except (ValueError, TypeError):
        return _default("add", value, default)


def _default(name: str, value: Any, default: Any) -> Any:
    if default is _NONE:
        raise ValueError(f"{name} got no number but {str(value)[:80]!r}, and has no default")
    return default
