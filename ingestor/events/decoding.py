"""Reading JSON that is not always JSON: bare NaN, integers of any size, a frame cut off in the middle."""

from __future__ import annotations

import json
from typing import Any, Final

import orjson

from ingestor import errors

_decoder: Final = json.JSONDecoder()
_BLANK: Final = " \t\r\n,"


def loads(payload: bytes) -> Any:
    """Return the JSON value; what orjson refuses (NaN, integers above 64 bits, lone surrogates) Python's reader takes.

    Raises UndecodableFrame("invalid_json"); also for JSON nested too deep.
    """
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise errors.UndecodableFrame("invalid_json", f"{error}"[:200]) from error


def salvage(payload: bytes) -> tuple[list[Any], bytes]:
    """Return the whole elements of a JSON array that is cut off or damaged, and the bytes from the damage on."""
    text = payload.decode("utf-8", "surrogateescape")
    if not text.lstrip(_BLANK).startswith("["):
        return [], payload
    position = text.index("[") + 1
    elements: list[Any] = []
    while True:
        start = position
        while start < len(text) and text[start] in _BLANK:
            start += 1
        try:
            element, position = _decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            return elements, text[start:].encode("utf-8", "surrogateescape")
        elements.append(element)


def dumps(value: Any) -> bytes:
    """Return compact JSON of anything that `loads` gave; NaN and big integers survive."""
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode("ascii")
