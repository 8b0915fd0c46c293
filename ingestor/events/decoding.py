"""Reading JSON that is not always JSON: bare NaN, integers of any size, a frame cut off in the middle."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec
import orjson

from ingestor import errors

#: What msgspec raises for bytes that are not what they should be: broken UTF-8 and depth have no error of its own.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def integer(digits: str) -> int | float:
    """Return a whole number; one of more than 64 bits, which nothing after us could hold, as a float."""
    return float(digits) if len(digits) > _MAX_DIGITS or not _LEAST <= (value := int(digits)) <= _MOST else value


_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1
_MAX_DIGITS: Final = 20
_decoder: Final = json.JSONDecoder(parse_int=integer)
_BLANK: Final = " \t\r\n,"
#: Said of what no reader of JSON follows to its end.
TOO_DEEP: Final = "values within values within values, hundreds deep"
#: What may be half of a surrogate pair, written as an escape. UTF-8 itself cannot hold one.
_HALF_BYTES: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")


def loads(payload: bytes) -> Any:
    """Return the JSON value; what orjson refuses (NaN, integers above 64 bits, lone surrogates) Python's reader takes.

    An integer above 64 bits becomes a float.
    Half of a surrogate pair becomes a question mark: no text with one could travel on, nor its whole batch with it.
    Raises UndecodableFrame: "nested_too_deep" for more levels than Python's reader takes, "invalid_json" for what else
    is no JSON, and for any encoding but UTF-8.
    """
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        pass
    try:
        text = payload.decode()
        value = json.loads(text, parse_int=integer)
        return _without_halves(value) if _HALF.search(text) else value
    except RecursionError as error:
        raise errors.UndecodableFrame("nested_too_deep", TOO_DEEP) from error
    except ValueError as error:
        raise errors.UndecodableFrame("invalid_json", f"{error}"[:200]) from error


def with_halves(payload: bytes) -> list[Any]:
    """Return the messages of a frame with halves of surrogate pairs as they came; none where there are none."""
    if not _HALF_BYTES.search(payload):
        return []
    try:
        value = json.loads(payload.decode(), parse_int=integer)
    except (ValueError, RecursionError):
        return []
    return value if isinstance(value, list) else [value]


def escaped(value: Any) -> str:
    """Return JSON in ASCII, in which also halves of surrogate pairs can be written."""
    return json.dumps(value, ensure_ascii=True)


def salvage(payload: bytes) -> tuple[list[Any], bytes]:
    """Return the whole elements of a JSON array that is cut off or damaged, and the bytes from the damage on."""
    text = payload.decode("utf-8", "surrogateescape")
    if not text.lstrip(_BLANK).startswith("["):
        return [], payload
    position = text.index("[") + 1
    suspect = _HALF.search(text) is not None or whole_text(text) != text
    elements: list[Any] = []
    while True:
        start = position
        while start < len(text) and text[start] in _BLANK:
            start += 1
        try:
            element, position = _decoder.raw_decode(text, start)
            elements.append(_without_halves(element) if suspect else element)
        except (ValueError, RecursionError):
            return elements, text[start:].encode("utf-8", "surrogateescape")


def whole_text(text: str) -> str:
    """Return text that UTF-8 can hold: half of a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def _without_halves(value: Any) -> Any:
    return json.loads(whole_text(json.dumps(value, ensure_ascii=False)))


def dumps(value: Any) -> bytes:
    """Return compact JSON of anything that `loads` gave; NaN survives."""
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode("ascii")
