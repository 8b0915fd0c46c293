"""What InfluxDB 1, 2 and 3 mean by their answers to a write, as one outcome; sends nothing.

The recipe: 2xx is stored; 400 and 422 blame lines, all of them named (3.x), the first (2.x) or none that can be
trusted (1.x); 413 is too much at once; 401, 403, 404 are settings; anything else may succeed later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ingestor import errors

_SETTINGS_ANSWERS: Final = {
    401: "the store does not accept the token (storage.token)",
    403: "the token may not write there (storage.token)",
    404: "the database or bucket does not exist, or the address is no InfluxDB (storage.url)",
}
_BAD_LINES: Final = frozenset({400, 422})
_TOO_LARGE: Final = 413
#: Words in an answer → a short stable name to group by.
_REASONS: Final = (
    ("field type conflict", "field_type_conflict"),
    ("schema conflict", "field_type_conflict"),
    ("invalid column type", "field_type_conflict"),
    ("retention policy", "beyond_retention"),
    ("max-series-per-database", "too_many_series"),
    ("max-values-per-tag", "too_many_tag_values"),
    ("unable to parse", "unparsable_line"),
    ("invalid", "unparsable_line"),
)
_MAX_DETAIL: Final = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a write. `bad_lines` are (index in the request, message); empty with `doubt`: find them."""

    stored: bool
    too_large: bool = False
    doubt: str = ""
    bad_lines: list[tuple[int, str]] = field(default_factory=list)


def read_answer(status: int, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Return what an answer means. Raises StoreUnavailable or StoreRefused where it is about more than lines."""
    if 200 <= status < 300:  # noqa: PLR2004 -- the class of success
        return Answer(stored=True)
    message = _message(body)
    if status == _TOO_LARGE:
        return Answer(stored=False, too_large=True, doubt=message)
    if status in _BAD_LINES:
        return Answer(stored=False, doubt=message or f"HTTP {status}", bad_lines=_named_lines(body))
    if status in _SETTINGS_ANSWERS:
        raise errors.StoreRefused(f"{_SETTINGS_ANSWERS[status]}: {message}"[:_MAX_DETAIL])
    raise errors.StoreUnavailable(f"HTTP {status}: {message}"[:_MAX_DETAIL], retry_after_s=_retry_after(headers))


def reason_of(message: str) -> str:
    """Return the short name for what a store says of a line."""
    text = message.lower()
    return next((reason for words, reason in _REASONS if words in text), "refused_by_store")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = next((text for name, text in headers.items() if name.lower() == "retry-after"), "")
    return float(value) if value.isdecimal() else None


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _message(body: bytes) -> str:
    parsed = _parsed(body)
    if isinstance(parsed, dict):
        for name in ("error", "message"):
            if isinstance(parsed.get(name), str):
                return str(parsed[name])[:_MAX_DETAIL]
    return body.decode("utf-8", "replace").strip()[:_MAX_DETAIL]


def _named_lines(body: bytes) -> list[tuple[int, str]]:
    """Return the lines that InfluxDB 3 names (it counts from 1, and names 100 at most: then none can be trusted)."""
    parsed = _parsed(body)
    data = parsed.get("data") if isinstance(parsed, dict) else None
    if not isinstance(data, list) or len(data) >= 100:  # noqa: PLR2004 -- its limit
        return []
    found = []
    for entry in data:
        if not isinstance(entry, dict) or not isinstance(entry.get("line_number"), int):
            return []
        found.append((entry["line_number"] - 1, str(entry.get("error_message", ""))))
    return found
