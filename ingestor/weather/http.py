"""One question to a weather provider over HTTP, and what its answer means; asks once, keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import requests

from ingestor import errors
from ingestor.events import decoding
from ingestor.weather.port import WeatherLimited, WeatherRefused, WeatherUnavailable

#: A task may take 25 s, and tries three times.
TIMEOUT_S: Final = 6.0
_MAX_BYTES: Final = 4_000_000
_MAX_WORDS: Final = 200
_MAX_DIGITS: Final = 8
_REFUSED: Final = frozenset({400, 401, 402, 403, 404})
_LIMITED: Final = 429
_OK: Final = 200


def get_json(url: str, params: Mapping[str, Any], *, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Return the object that a provider answers. Raises WeatherUnavailable, WeatherLimited, WeatherRefused.

    No error names the address: a key may be part of it.
    """
    try:
        with requests.get(url, params=params, timeout=timeout_s, stream=True, allow_redirects=False) as answer:
            body = answer.raw.read(_MAX_BYTES + 1, decode_content=True)
    except (requests.RequestException, OSError) as error:
        raise WeatherUnavailable(f"the weather provider does not answer ({type(error).__name__})") from error
    except Exception as error:
        # What urllib3 raises while it reads is none of requests' errors.
        raise WeatherUnavailable(f"the weather provider's answer broke off ({type(error).__name__})") from error
    found = _object(body)
    if answer.status_code == _OK and found is not None:
        return found
    raise _error(answer, found)


def _object(body: bytes) -> dict[str, Any] | None:
    if len(body) > _MAX_BYTES:
        return None
    try:
        found = decoding.loads(body)
    except errors.Rejected:
        return None
    return found if isinstance(found, dict) else None


def _error(answer: requests.Response, found: Mapping[str, Any] | None) -> Exception:
    words = str((found or {}).get("message") or (found or {}).get("reason") or "")[:_MAX_WORDS]
    said = f"the weather provider answers {answer.status_code}{': ' if words else ''}{words}"
    if answer.status_code == _LIMITED:
        return WeatherLimited(said, retry_after_s=_seconds(answer.headers.get("Retry-After")))
    return WeatherRefused(said) if answer.status_code in _REFUSED else WeatherUnavailable(said)


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() and len(text) < _MAX_DIGITS else None
