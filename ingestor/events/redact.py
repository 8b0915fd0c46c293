"""Takes secrets out of a payload before it rests anywhere (rule 18) without decoding it: all else stays byte for byte.

A key counts by its exact name, or by how it ends (`mqtt_password`). Only its text or number is replaced: `null`,
`true` and objects say nothing secret. The same is done one level down, in JSON or Python text within a string,
and for parameters of an address (`?token=…`). What is written in an unusual way is decoded (`redact_deep`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import ahocorasick_rs

from ingestor.events.redact_deep import redact_deep

#: What stands in a secret's place.
MARK: Final = b"**redacted**"

#: Every secret key or parameter holds one of these. One pass finds them all; which ones matters to its speed
#: (docs/explanation/websocket.md), so the two that slow it down are searched for apart.
_NEEDLES: Final = ahocorasick_rs.BytesAhoCorasick(
    (
        *(b"token", b"Token", b"password", b"passwd", b"Password", b"secret", b"Secret", b"code"),
        *(b"webhook", b"cloudhook", b"api_key", b"api-key", b"apikey", b"private_key"),
    )
)
_PIN: Final = b'"pin"'
_SIGNATURE: Final = b"authSig="
#: Names without `_` and `-`, in lower case.
_NAMES: Final = frozenset(
    {
        *(b"code", b"accesscode", b"actioncode", b"alarmcode", b"armcode", b"disarmcode", b"keypadcode", b"passcode"),
        *(b"pincode", b"usercode", b"pin", b"userpin"),
        *(b"authsig", b"webhookid", b"webhookurl", b"cloudhookid", b"cloudhookurl"),
    }
)
_ENDINGS: Final = (b"token", b"password", b"passwd", b"secret", b"apikey", b"privatekey")
_LONGEST_NAME: Final = 128

_NAME: Final = re.compile(rb"(\\?[\"'])([A-Za-z0-9_. -]+)\1\s*:\s*")
#: A quote three or more texts deep, or an ASCII letter that need not have been escaped.
_UNUSUAL: Final = re.compile(rb'\\\\\\"|\\u00[2-7]')
_ESCAPED: Final = re.compile(rb"(?<!\\)\\u00([2-7][0-9a-fA-F])")
_PARAMETER: Final = re.compile(rb"([?&;])([A-Za-z0-9_-]+)(?==)=([^&;#\"'\\\s<>]+)")
_HOOK: Final = re.compile(rb"(?:web|cloud)hook/([^/?#\"'\\\s<>]+)")
_NUMBER: Final = rb"(?P<number>-?[0-9][0-9.eE+-]*+)"
_IN_JSON: Final = re.compile(rb'"(?P<text>(?:[^"\\]|\\.)*+)"|' + _NUMBER, re.DOTALL)
# Within a JSON string each quote and backslash of the inner text has a backslash of its own.
_INNER_TEXT: Final = rb'(?:[^"\\]|\\\\\\\\|\\\\\\"|\\\\[^"\\]|\\[^"\\])*+'
_IN_TEXT: Final = re.compile(rb'\\"(?P<text>' + _INNER_TEXT + rb')\\"|' + _NUMBER)
_IN_REPR: Final = re.compile(
    rb"'(?P<text>(?:[^'\"\\]|\\\\'|\\[^'])*+)'|\\\"(?P<quoted>" + _INNER_TEXT + rb")\\\"|" + _NUMBER
)
_VALUES: Final = {b'"': _IN_JSON, b'\\"': _IN_TEXT, b"'": _IN_REPR, b"\\'": _IN_REPR}

#: What to put where: start, end, replacement.
_Cut = tuple[int, int, bytes]


def redact(payload: bytes) -> bytes:
    """Return the payload with every secret replaced; the very same object if there is none."""
    if b"\\" in payload and _UNUSUAL.search(payload):
        clean = _redacted(payload)
        walked = redact_deep(clean, is_secret, MARK.decode())
        return walked if walked is not None else _redacted_unescaped(clean)
    return _redacted(payload)


def _redacted(payload: bytes) -> bytes:
    found = [start for _, start, _ in _NEEDLES.find_matches_as_indexes(payload)]
    if _PIN in payload:
        found += _places(payload, _PIN)
    if b"?" in payload and _SIGNATURE in payload:  # one byte is found 20 times faster than eight
        found += _places(payload, _SIGNATURE)
    return _cut(payload, found)


def _redacted_unescaped(payload: bytes) -> bytes:
    """Redact what cannot be decoded, with the letters of names written out; the very same object if there is none."""
    plain = _ESCAPED.sub(_letter, payload)
    clean = _redacted(plain)
    return payload if clean is plain else clean


def _letter(match: re.Match[bytes]) -> bytes:
    sign = bytes.fromhex(match[1].decode())
    return sign if sign.isalnum() or sign in b"_-" else match[0]


def _cut(payload: bytes, found: Iterable[int]) -> bytes:
    cuts = {cut for at in found if (cut := _cut_at(payload, at)) is not None}
    return _replace(payload, sorted(cuts)) if cuts else payload


def _places(payload: bytes, needle: bytes) -> Iterator[int]:
    """Yield where the needle is."""
    at = payload.find(needle)
    while at >= 0:
        yield at
        at = payload.find(needle, at + len(needle))


def _cut_at(payload: bytes, at: int) -> _Cut | None:
    """Return what to replace because of the needle there, if anything."""
    return _cut_of_key(payload, at) or _cut_of_address(payload, at)


def _cut_of_key(payload: bytes, at: int) -> _Cut | None:
    """Return the value to replace if the needle is in the name of a secret key."""
    since = max(0, at - _LONGEST_NAME)
    opening = max(payload.rfind(b'"', since, at + 1), payload.rfind(b"'", since, at + 1))
    if opening < 0:
        return None
    escaped = opening > 0 and payload[opening - 1] == ord("\\")
    name = _NAME.match(payload, opening - escaped) or _NAME.match(payload, opening)
    if name is None or not is_secret(name[2]):
        return None
    value = _VALUES[name[1]].match(payload, name.end())
    if value is None:
        return None
    if value["number"] is not None:
        return (*value.span("number"), name[1] + MARK + name[1])
    group = "text" if value["text"] is not None else "quoted"
    return (*value.span(group), MARK)


def _cut_of_address(payload: bytes, at: int) -> _Cut | None:
    """Return the value to replace if the needle is in a parameter's name, or before a webhook's id."""
    hook = _HOOK.match(payload, at)
    if hook is not None:
        return (*hook.span(1), MARK)
    since = max(0, at - _LONGEST_NAME)
    opening = max(payload.rfind(sign, since, at) for sign in (b"?", b"&", b";"))
    parameter = _PARAMETER.match(payload, opening) if opening >= 0 else None
    if parameter is None or not is_secret(parameter[2]):
        return None
    return (*parameter.span(3), MARK)


def is_secret(name: bytes) -> bool:
    """Tell whether what is kept under this name is a secret."""
    plain = name.lower().translate(None, b"_-. ")
    return plain in _NAMES or plain.endswith(_ENDINGS)


def _replace(payload: bytes, cuts: list[_Cut]) -> bytes:
    """Return the payload with the cuts made; one that begins within another is part of it."""
    parts: list[bytes] = []
    done = 0
    for start, end, text in cuts:
        if start < done:
            continue
        parts += (payload[done:start], text)
        done = end
    return b"".join((*parts, payload[done:]))
