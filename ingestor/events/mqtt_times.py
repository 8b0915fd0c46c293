"""Time functions of value templates, as far as they need no clock and no time zone of the home."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

_NONE: Final = object()
_DEFAULT_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
#: No widths or flags: `%999999999d` would fill the memory.
_PLAIN_FORMAT: Final = re.compile(r"(?:[^%]|%-?[aAbBcdHIjmMpSuUVwWxXyYzZfGe%]){0,100}")


def as_datetime(value: Any, default: Any = _NONE) -> Any:
    """Return the moment that a number of seconds, or an ISO text, means; None for a text that means none."""
    try:
        return datetime.fromtimestamp(float(value), UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        pass
    found = _read(value)
    if found is None and default is not _NONE:
        return default
    if found is None and not isinstance(value, str):
        raise ValueError(f"as_datetime got no time but {str(value)[:80]!r}, and has no default")
    return found


def as_timestamp(value: Any, default: Any = _NONE) -> Any:
    """Return seconds since 1970 of a moment or an ISO text.

    Raises ValueError for a text without a zone: what it means, only the home knows.
    """
    found = value if isinstance(value, datetime) else _read(str(value))
    if found is None:
        return _default("as_timestamp", value, default)
    if found.tzinfo is None:
        raise ValueError("a time without a zone needs Home Assistant's own")
    return found.timestamp()


def timestamp_utc(value: Any, default: Any = _NONE) -> Any:
    """Return seconds since 1970 as ISO text."""
    try:
        return datetime.fromtimestamp(value, UTC).isoformat()
    except (ValueError, TypeError, OverflowError, OSError):
        return _default("timestamp_utc", value, default)


def timestamp_custom(value: Any, date_format: str = _DEFAULT_FORMAT, local: Any = True, default: Any = _NONE) -> Any:
    """Return seconds since 1970 as text of that form. Raises ValueError for local time."""
    if local:
        raise ValueError("local time needs Home Assistant's own zone")
    try:
        moment = datetime.fromtimestamp(value, UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return _default("timestamp_custom", value, default)
    return moment.strftime(_plain(date_format))


def strptime(text: Any, date_format: str, default: Any = _NONE) -> Any:
    """Return the moment that a text of that form means; without a zone it has none."""
    try:
        return datetime.strptime(text, _plain(date_format))  # noqa: DTZ007 - Home Assistant's has no zone either
    except (ValueError, TypeError):
        return _default("strptime", text, default)


def _plain(date_format: str) -> str:
    if not _PLAIN_FORMAT.fullmatch(date_format):
        raise ValueError("the date format is not plain")
    return date_format


def _read(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return None


def _default(name: str, value: Any, default: Any) -> Any:
    if default is _NONE:
        raise ValueError(f"{name} got no time but {str(value)[:80]!r}, and has no default")
    return default
