"""What InfluxDB 1, 2 and 3 mean by their answers to a write, as one outcome; sends nothing.

The recipe: 204 is stored, and nothing else is; 400 and 422 blame lines, all of them named (3.x), the first (2.x) or
none that can be trusted (1.x), or (3.x) the database; 413 is too much at once; another 2xx, 3xx, 401, 403, 404, 405 are
settings; anything else may succeed later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from ingestor import errors

_SETTINGS_ANSWERS: Final = {
    401: "the store does not accept the token (storage.token)",
    403: "the token may not write there (storage.token)",
    404: "the database or bucket does not exist, or the address is no InfluxDB (storage.url)",
    405: "the address is no InfluxDB (storage.url)",
}
#: How a 400 or 422 of a 3.x begins that is about the database, not about a line: no event is at fault. Only the begin
#: counts, since an answer about a line may repeat any text of that line further on.
_DATABASE_REFUSED: Final = (
    "db name ",
    "invalid character in database ",
    "Adding a new database would exceed limit",
)
_BAD_LINES: Final = frozenset({400, 422})
#: Some 2.x say 500 for a line that they will never take: who waits for it to be taken waits for ever. Without such
#: words nobody can tell it from an outage; `ingestor.storage.suspects` does, when other batches pass.
_BROKEN: Final = 500
_OF_LINES: Final = ("partial write", "field type conflict", "unable to parse")
_STORED: Final = 204
_TOO_LARGE: Final = 413
#: A server says this to a query for what was never written.
_NOTHING_YET: Final = ("database not found", "measurement not found", "table not found")
_MAX_DETAIL: Final = 500
#: More digits than any that is meant here; Python makes no number of thousands of them.
_MAX_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a write. `bad_lines` are (index in the request, message); empty with `doubt`: find them."""

    stored: bool
    too_large: bool = False
    doubt: str = ""
    bad_lines: list[tuple[int, str]] = field(default_factory=list)


def read_answer(status: int, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Return what an answer means. Raises StoreUnavailable or StoreRefused where it is about more than lines."""
    if status == _STORED:
        return Answer(stored=True)
    message = _message(body)
    if status == _TOO_LARGE:
        return Answer(stored=False, too_large=True, doubt=message)
    if status in _BAD_LINES:
        named = _named_lines(body)
        if refused := next((text for text in (message, *(said for _, said in named)) if _is_of_database(text)), ""):
            raise errors.StoreRefused(f"the store does not take the database (storage.url): {refused}"[:_MAX_DETAIL])
        return Answer(stored=False, doubt=message or f"HTTP {status}", bad_lines=named)
    if status == _BROKEN and any(words in message for words in _OF_LINES):
        return Answer(stored=False, doubt=message)
    raise _refusal(status, message, headers)


def read_ping(status: int, body: bytes, headers: Mapping[str, str]) -> None:
    """Return where a ping is answered as InfluxDB does (3.x says 200). Raises StoreUnavailable or StoreRefused."""
    if status not in (200, _STORED):
        raise _refusal(status, _message(body), headers)


def read_results(status: int, body: bytes, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the results of an InfluxQL query; none where the database is not made yet.

    Raises StoreUnavailable, also for an answer that is none: "nothing stored" must not be read into it.
    """
    parsed = _parsed(body)
    if status != 200 or not isinstance(parsed, dict) or not isinstance(parsed.get("results"), list):  # noqa: PLR2004 -- the only yes
        message = _message(body)
        if any(words in message for words in _NOTHING_YET):
            return []
        raise _refusal(status, f"query failed: {message}", headers)
    results: list[dict[str, Any]] = parsed["results"]
    for result in results:
        message = str(result.get("error", ""))
        if message and not any(words in message for words in _NOTHING_YET):
            raise errors.StoreUnavailable(f"query failed: {message}"[:_MAX_DETAIL])
    return results


def _refusal(status: int, message: str, headers: Mapping[str, str]) -> errors.StoreRefused | errors.StoreUnavailable:
    if status in _SETTINGS_ANSWERS:
        return errors.StoreRefused(f"{_SETTINGS_ANSWERS[status]}: {message}"[:_MAX_DETAIL])
    if 200 <= status < 400:  # noqa: PLR2004 -- success that is no InfluxDB's, and redirects
        where = next((f" (it sends us to {text})" for name, text in headers.items() if name.lower() == "location"), "")
        detail = f"HTTP {status}: the address is no InfluxDB (storage.url){where}: {message}"
        return errors.StoreRefused(detail[:_MAX_DETAIL])
    detail = f"HTTP {status}: {message}"[:_MAX_DETAIL]
    return errors.StoreUnavailable(detail, retry_after_s=_retry_after(headers), broken=status == _BROKEN)


def _is_of_database(message: str) -> bool:
    return message.startswith(_DATABASE_REFUSED)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks for, which it says as such or as a time (then by its own clock)."""
    found = {name.lower(): text.strip() for name, text in headers.items()}
    value = found.get("retry-after", "")
    if value.isdecimal() and len(value) < _MAX_DIGITS:
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - parsedate_to_datetime(found["date"])).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        return None


def _message(body: bytes) -> str:
    parsed = _parsed(body)
    text = body.decode("utf-8", "replace").strip()
    if isinstance(parsed, dict):
        text = next((parsed[name] for name in ("error", "message") if isinstance(parsed.get(name), str)), text)
    if len(text) <= _MAX_DETAIL:
        return text
    # It repeats the whole line first, and says what is wrong last.
    half = _MAX_DETAIL // 2 - 2
    return f"{text[:half]} … {text[-half:]}"


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


def in_words(error: Exception) -> str:
    """Return what stopped a request: the innermost cause, without the names of the library's classes round it.

    The libraries nest it: an error has an error as its first argument, or as its `reason`, down to the system's own.
    """
    told: Any = error
    while (inner := getattr(told, "reason", None) or (told.args[0] if told.args else None)) is not None:
        if not isinstance(inner, Exception):
            break
        told = inner
    # Text is all that urllib3 hands on of the system's own error here.
    return str(told).rpartition("Failed to establish a new connection: ")[2]
