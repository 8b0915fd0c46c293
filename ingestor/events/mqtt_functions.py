"""What value templates may call, by name: filters, functions and tests; none makes much from little."""

from __future__ import annotations

import base64
import json
import math
import statistics
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from jinja2 import TemplateError, Undefined

from ingestor.events import decoding, mqtt_numbers, mqtt_regex, mqtt_times
from ingestor.events.mqtt_limits import require_short

_Named = Mapping[str, Callable[..., Any]]


def replaced(value: Any, old: str, new: str, count: int = -1) -> str:
    """Return a text with a part replaced, within limits."""
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


_TIMES: Final[_Named] = {
    "as_datetime": mqtt_times.as_datetime,
    "as_timestamp": mqtt_times.as_timestamp,
    "timestamp_custom": mqtt_times.timestamp_custom,
    "timestamp_utc": mqtt_times.timestamp_utc,
}
#: Both after a value (`|float`) and by themselves (`float(…)`).
_EITHER_WAY: Final[_Named] = {
    "float": mqtt_numbers.to_float,
    "int": mqtt_numbers.to_int,
    "bool": _truth,
    "iif": _iif,
    "average": _average,
    "log": _logarithm,
    "sqrt": _root,
    "is_number": _is_number,
    **_TIMES,
}
_NUMBERS: Final[_Named] = {
    "round": mqtt_numbers.rounded,
    "multiply": mqtt_numbers.multiplied,
    "add": mqtt_numbers.added,
    "sum": _summed,
    "bitwise_and": lambda left, right: left & right,
    "bitwise_or": lambda left, right: left | right,
    "bitwise_xor": lambda left, right: left ^ right,
    "ord": ord,
}
_TEXTS: Final[_Named] = {
    "replace": replaced,
    "join": _joined,
    "contains": lambda whole, part: part in whole,
    "regex_replace": mqtt_regex.replace,
    "regex_match": mqtt_regex.match,
    "regex_search": mqtt_regex.search,
    "regex_findall": mqtt_regex.findall,
    "regex_findall_index": mqtt_regex.findall_index,
}
_FORMATS: Final[_Named] = {
    "is_defined": _defined,
    "from_json": lambda text: decoding.loads(str(text).encode()),
    "to_json": lambda value: decoding.dumps(value).decode(),
    "tojson": json.dumps,
    "base64_decode": lambda text: base64.b64decode(text).decode(),
    "base64_encode": lambda text: base64.b64encode(str(text).encode()).decode(),
}
FILTERS: Final[_Named] = {**_EITHER_WAY, **_NUMBERS, **_TEXTS, **_FORMATS}
GLOBALS: Final[Mapping[str, Any]] = {
    **_EITHER_WAY,
    "min": _least,
    "max": _most,
    "range": _range,
    "dict": dict,
    "pi": math.pi,
    "e": math.e,
    "strptime": mqtt_times.strptime,
    "timedelta": timedelta,
}
TESTS: Final[_Named] = {
    "is_number": _is_number,
    "list": lambda value: isinstance(value, list),
    "datetime": lambda value: isinstance(value, datetime),
    "match": mqtt_regex.match,
    "search": mqtt_regex.search,
    "contains": lambda whole, part: part in whole,
}
