"""The handshake, what is refused, and how a connection's end is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import websocket

from ingestor import errors
from ingestor.homeassistant.address import rest_url, websocket_url
from ingestor.homeassistant.backoff import longest_pause_s, pause_s
from ingestor.homeassistant.connection import Connection
from ingestor.settings import HomeAssistantSettings
from tests.unit.websocket_wire import CLOSE, HANDSHAKE, NoPause, ScriptedSocket, settings


def connect(wire: ScriptedSocket, **changes: object) -> Connection:
    return Connection.open(settings(**changes), open_socket=lambda url, chosen: wire)


@pytest.mark.parametrize(
    ("typed", "expected", "rest"),
    [
        ("http://ha.local:8123", "ws://ha.local:8123/api/websocket", "http://ha.local:8123/api"),
        ("https://home.example.org/", "wss://home.example.org/api/websocket", "https://home.example.org/api"),
        ("ha.local:8123", "ws://ha.local:8123/api/websocket", "http://ha.local:8123/api"),
        ("  http://h:8123/api/websocket ", "ws://h:8123/api/websocket", "http://h:8123/api"),
        ("http://h:8123/api", "ws://h:8123/api/websocket", "http://h:8123/api"),
        ("https://a.example/home/", "wss://a.example/home/api/websocket", "https://a.example/home/api"),
        ("http://[fd00::1]:8123", "ws://[fd00::1]:8123/api/websocket", "http://[fd00::1]:8123/api"),
        ("ws://supervisor/core/websocket", "ws://supervisor/core/websocket", "http://supervisor/core/api"),
        ("http://supervisor/core", "ws://supervisor/core/websocket", "http://supervisor/core/api"),
        ("http://user:secret@h:8123/?x=1#y", "ws://h:8123/api/websocket", "http://h:8123/api"),
    ],
)
def test_what_a_person_types_becomes_the_addresses_of_the_apis(typed: str, expected: str, rest: str) -> None:
    assert (websocket_url(typed), rest_url(typed)) == (expected, rest)


@pytest.mark.parametrize("typed", ["", "mqtt://h", "http://", "http://h:port", "http://h:99999", "file:///x"])
def test_an_address_without_a_host_is_a_wrong_setting(typed: str) -> None:
    with pytest.raises(errors.InvalidSettings, match=r"http://homeassistant\.local:8123"):
        websocket_url(typed)


def test_the_handshake_sends_the_token_and_asks_for_coalesced_frames() -> None:
    wire = ScriptedSocket(*HANDSHAKE)

    connection = connect(wire, token=" t0ken\n")

    assert wire.sent == [
        {"type": "auth", "access_token": "t0ken"},
        {"id": 1, "type": "supported_features", "features": {"coalesce_messages": 1}},
    ]
    assert (connection.ha_version, connection.coalesced) == ("2024.3.3", True)


def test_a_home_that_knows_no_coalescing_is_heard_without() -> None:
    unknown = b'{"id":1,"type":"result","success":false,"error":{"code":"unknown_command","message":""}}'

    connection = connect(ScriptedSocket(*HANDSHAKE[:2], unknown))

    assert not connection.coalesced


def test_a_refused_token_says_what_to_do_and_never_shows_the_token() -> None:
    wire = ScriptedSocket(HANDSHAKE[0], b'{"type":"auth_invalid","message":"Invalid access token or password"}')

    with pytest.raises(errors.AuthenticationRefused) as caught:
        connect(wire)

    assert "long-lived access token" in str(caught.value)
    assert "HA_INGESTOR_HOMEASSISTANT__TOKEN" in str(caught.value)
    assert "t0ken" not in str(caught.value)
    assert wire.closed


@pytest.mark.parametrize("first", [b"<html>", b'{"type":"welcome"}', b"[1,2]", b"\xff\xfe"])
def test_what_is_no_home_assistant_is_said_to_be_none_and_gets_no_token(first: bytes) -> None:
    wire = ScriptedSocket(first)

    with pytest.raises(errors.HomeAssistantUnavailable, match="does not speak"):
        connect(wire)

    assert wire.sent == []


def test_a_silent_peer_ends_the_handshake() -> None:
    with pytest.raises(errors.HomeAssistantUnavailable, match="connect_timeout_s"):
        connect(ScriptedSocket(HANDSHAKE[0]))


def test_without_a_token_nothing_is_opened() -> None:
    wire = ScriptedSocket(*HANDSHAKE)

    with pytest.raises(errors.InvalidSettings, match=r"homeassistant\.token"):
        Connection.open(HomeAssistantSettings(url="http://h"), open_socket=lambda url, chosen: wire)

    assert len(wire.script) == len(HANDSHAKE)


def test_ids_only_grow() -> None:
    wire = ScriptedSocket(*HANDSHAKE)
    connection = connect(wire)

    numbers = [connection.send_command("ping") for _ in range(3)]

    assert numbers == [2, 3, 4]
    assert [message["id"] for message in wire.sent[2:]] == numbers


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ((CLOSE, b"\x03\xe8"), "closed"),
        ((CLOSE, b""), "closed"),
        (websocket.WebSocketConnectionClosedException("lost"), "cut"),
        (ConnectionResetError("reset"), "cut"),
        (websocket.WebSocketProtocolException("rsv is not implemented, yet"), "rubbish"),
    ],
)
def test_the_end_of_a_connection_has_a_reason(end: object, reason: str) -> None:
    connection = connect(ScriptedSocket(*HANDSHAKE, end))  # type: ignore[arg-type]  # a table of steps

    with pytest.raises(errors.ConnectionLost) as caught:
        connection.recv()

    assert caught.value.reason == reason


def test_no_frame_within_the_time_is_no_loss() -> None:
    connection = connect(ScriptedSocket(*HANDSHAKE))

    with pytest.raises(TimeoutError):
        connection.recv()


def test_a_frame_is_handed_on_as_it_came_valid_utf8_or_not() -> None:
    connection = connect(ScriptedSocket(*HANDSHAKE, b'{"x":"\xff\xfe"}'))

    assert connection.recv() == b'{"x":"\xff\xfe"}'


class _Widest(NoPause):
    def uniform(self, a: float, b: float) -> float:
        return b


def test_pauses_double_up_to_the_longest_and_may_be_as_short_as_nothing() -> None:
    widest = [pause_s(attempt, 60, chance=_Widest()) for attempt in (1, 2, 3, 4, 5, 6, 7, 8, 5000)]

    assert widest == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert pause_s(9, 60, chance=NoPause()) == 0
    assert all(0 <= pause_s(attempt, 60) <= 60 for attempt in range(1, 50))


@pytest.mark.parametrize(
    ("lost_for_s", "longest_s", "expected"),
    [(None, 60, 60), (0, 60, 2), (59, 60, 2), (60, 60, 60), (3600, 60, 60), (0, 1, 1)],
)
def test_pauses_stay_short_for_a_minute_after_a_good_connection(
    lost_for_s: float | None, longest_s: float, expected: float
) -> None:
    assert longest_pause_s(lost_for_s, longest_s) == expected


def test_how_far_its_clock_is_ahead_at_most_is_known_from_its_greeting() -> None:
    hour_ahead = datetime.now(UTC) + timedelta(hours=1)

    connection = Connection.open(
        settings(), open_socket=lambda *_: ScriptedSocket(*HANDSHAKE, date=format_datetime(hour_ahead, usegmt=True))
    )

    assert connection.clock_ahead_us is not None
    assert 3600 <= connection.clock_ahead_us / 1_000_000 + 0.1 < 3602


@pytest.mark.parametrize("date", ["", "yesterday", "Sat, 99 Nov 2026 18:00:00 GMT"])
def test_a_greeting_without_a_time_says_nothing_of_its_clock(date: str) -> None:
    assert connect(ScriptedSocket(*HANDSHAKE, date=date)).clock_ahead_us is None
