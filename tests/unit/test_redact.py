"""No known secret survives, and nothing else of a payload changes."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingestor.events.decoding import integer
from ingestor.events.redact import MARK, redact

KEYS = (
    *("access_token", "refresh_token", "token", "apiToken", "password", "mqtt_password", "passwd", "Password"),
    *("client_secret", "secret", "api_key", "apikey", "api-key", "code", "alarm_code", "pin_code", "pin", "user_code"),
    *("webhook_id", "webhookUrl", "cloudhook_url", "private_key"),
)
HARMLESS = (
    *("code_format", "code_arm_required", "postal_code", "video_codec", "token_count", "passwords_known", "pinned"),
    *("tokens", "secretary", "key", "api_keys", "webhook", "spin", "country_code", "changed_by", "state", "barcode"),
)
MARKED = MARK.decode()

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
plain = st.none() | st.booleans() | numbers | st.text(max_size=30)
#: Free names: those that are, or end like, a secret's are among KEYS (hypothesis also tries words from our code).
SECRETIVE = re.compile("token|passw|secret|key|code|hook|pin|authsig", re.IGNORECASE)
names = st.text(max_size=8).filter(lambda name: not SECRETIVE.search(name))
documents = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS + HARMLESS) | names, inner, max_size=5)
    ),
    max_leaves=20,
)


def without_secrets(value: Any) -> Any:
    """Say the same by decoding: what redaction must equal."""
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: MARKED
        if key in KEYS and isinstance(item, str | int | float) and not isinstance(item, bool)
        else without_secrets(item)
        for key, item in value.items()
    }


def _read(text: str) -> Any:
    # What has to be decoded is written anew, with integers as we read them: above 64 bits they are floats.
    return json.loads(text, parse_int=integer)


@given(documents, st.sampled_from([None, 2]), st.booleans())
@example({"refresh_token": "\x7f", "state": -(2**63) - 1}, None, True)
def test_a_document_is_redacted_as_if_it_had_been_decoded(document: Any, indent: int | None, ascii_only: bool) -> None:
    payload = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")

    redacted = _read(redact(payload).decode("utf-8", "surrogatepass"))

    assert redacted == without_secrets(_read(payload.decode("utf-8", "surrogatepass")))


@given(documents)
@example({"refresh_token": "\x7f", "state": -(2**63) - 1})
def test_json_within_a_text_is_redacted_too(document: Any) -> None:
    inner = json.dumps({"x": document, "code": "zq!zq"}).replace('"pin"', '"pin_code"')
    payload = orjson.dumps({"service_data": {"topic": "t", "payload": inner}})

    redacted = orjson.loads(redact(payload))["service_data"]["payload"]

    assert _read(redacted) == without_secrets(_read(inner))
    assert "zq!zq" not in redacted


@given(st.dictionaries(st.sampled_from(HARMLESS), plain, min_size=1), st.binary(max_size=50))
def test_a_payload_without_secrets_is_the_very_same_object(document: dict[str, Any], rubbish: bytes) -> None:
    clean = orjson.dumps({key: str(value) for key, value in document.items()})

    assert redact(clean) is clean
    assert redact(rubbish) is rubbish


@given(
    st.sampled_from(KEYS), st.text(alphabet=st.characters(categories=["L", "N"]), min_size=8), st.binary(max_size=40)
)
def test_a_payload_that_is_no_json_keeps_no_secret_either(key: str, secret: str, rubbish: bytes) -> None:
    payload = rubbish + f'"{key}": "{secret}"'.encode() + b'\xff\xfe{"half'

    redacted = redact(payload)

    assert secret.encode() not in redacted
    assert redacted.startswith(rubbish)
    assert redacted.endswith(b'\xff\xfe{"half')


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"code":"1234","entity_id":"a.b"}', b'{"code":"**redacted**","entity_id":"a.b"}'),
        (b'{"code":1234}', b'{"code":"**redacted**"}'),
        (b'{"code": -12.5e+3 }', b'{"code": "**redacted**" }'),
        (b'{"code":"","x":1}', b'{"code":"**redacted**","x":1}'),
        (b'{"entity_picture":"/api/x?token=ab12&w=3"}', b'{"entity_picture":"/api/x?token=**redacted**&w=3"}'),
        (b'"/m.mp3?authSig=eyJ.h-b_9"', b'"/m.mp3?authSig=**redacted**"'),
        (b'"http://h/api/webhook/deadbeef?x=1"', b'"http://h/api/webhook/**redacted**?x=1"'),
        (b"\"Got {'password': 'hunter2', 'n': 1}\"", b"\"Got {'password': '**redacted**', 'n': 1}\""),
        (b'"Got {\'password\': \\"it\'s\\"}"', b'"Got {\'password\': \\"**redacted**\\"}"'),
        (b'{"token":"a\\"b\\\\","z":1}', b'{"token":"**redacted**","z":1}'),
        (
            b'{"access_token":"x","temp":NaN,"n":36893488147419103232}',
            b'{"access_token":"**redacted**","temp":NaN,"n":36893488147419103232}',
        ),
    ],
)
def test_only_the_secret_itself_is_replaced(payload: bytes, expected: bytes) -> None:
    assert redact(payload) == expected


@pytest.mark.parametrize(
    "payload",
    [
        b'{"code":null,"code_format":"number","code_arm_required":true,"postal_code":"1234 AB"}',
        b'{"access_token":true,"token":{"a":"b"},"secret":[]}',
        b'{"message":"code is 5, token= nothing, see password: below"}',
        b'{"state":"code","friendly_name":"token"}',
        b'{"url":"/x?decode=1&w=2"}',
    ],
)
def test_what_only_looks_like_a_secret_stays(payload: bytes) -> None:
    assert redact(payload) is payload


def test_redacting_twice_is_redacting_once() -> None:
    once = redact(b'{"code":"1","u":"/x?token=abc","p":"{\\"pin_code\\":\\"2\\"}"}')

    assert redact(once) == once


def test_a_large_coalesced_frame_is_redacted_throughout() -> None:
    event = b'{"type":"event","event":{"data":{"attributes":{"access_token":"s3cr3t","x":"%s"}}}}' % (b"y" * 1000)
    frame = b"[" + b",".join([event] * 500) + b"]"

    redacted = redact(frame)

    assert b"s3cr3t" not in redacted
    assert redacted.count(MARK) == 500
    assert len(orjson.loads(redacted)) == 500


@pytest.mark.parametrize(
    "payload",
    [
        b'{"a":' * 900 + b'{"to\\u006ben": "hunter2"}' + b"}" * 900,
        b'[{"to\\u006ben": "hunter2"}, {"state": "o',
    ],
    ids=["nested hundreds of levels deep", "cut off"],
)
def test_a_name_in_escapes_is_known_where_nothing_can_be_decoded(payload: bytes) -> None:
    found = redact(payload)

    assert b"hunter2" not in found
    assert MARK in found
    other = payload.replace(b"to\\u006ben", b"st\\u0061te")
    assert redact(other) is other
