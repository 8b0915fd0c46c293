"""Commands and their answers: one at a time, found among other messages, refusals by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import websocket

from ingestor import errors
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.homeassistant.connection import Connection
from tests.unit.websocket_wire import HANDSHAKE, ScriptedSocket, accepted, event, refused, settings


def client_on(wire: ScriptedSocket) -> HomeAssistantClient:
    return HomeAssistantClient(
        settings(), connect=lambda chosen: Connection.open(chosen, open_socket=lambda *given: wire)
    )


def answer(number: int, result: Any) -> bytes:
    return orjson.dumps({"id": number, "type": "result", "success": True, "result": result})


def test_an_answer_is_found_among_others_also_in_a_coalesced_frame() -> None:
    coalesced = b"[" + orjson.dumps(event("1")) + b"," + answer(2, [{"area_id": "kitchen", "name": "Kitchen"}]) + b"]"
    wire = ScriptedSocket(*HANDSHAKE, orjson.dumps(event("0")), accepted(1), coalesced)

    with client_on(wire) as client:
        areas = client.areas()

    assert areas == [{"area_id": "kitchen", "name": "Kitchen"}]
    assert wire.sent[2] == {"id": 2, "type": "config/area_registry/list"}
    assert wire.closed


def test_a_refusal_carries_home_assistants_code() -> None:
    wire = ScriptedSocket(*HANDSHAKE, refused(2, "unauthorized"))

    with client_on(wire) as client, pytest.raises(errors.CommandRefused) as caught:
        client.command("trace/list", domain="automation")

    assert caught.value.reason == "unauthorized"
    assert "trace/list" in str(caught.value)


def test_a_home_without_floors_and_labels_has_none() -> None:
    wire = ScriptedSocket(*HANDSHAKE, refused(2, "unknown_command"), refused(3, "unknown_command"))

    with client_on(wire) as client:
        assert (client.floors(), client.labels()) == ([], [])


def test_a_list_that_is_refused_for_another_reason_is_not_taken_for_empty() -> None:
    wire = ScriptedSocket(*HANDSHAKE, refused(2, "unknown_error"))

    with client_on(wire) as client, pytest.raises(errors.CommandRefused):
        client.floors()


def test_history_is_asked_for_with_every_change_and_no_invented_row() -> None:
    rows = {"sensor.a": [{"s": "1", "a": {}, "lu": 1795229243.5}]}
    wire = ScriptedSocket(*HANDSHAKE, answer(2, rows))
    start, end = datetime(2026, 11, 21, 2, tzinfo=UTC), datetime(2026, 11, 21, 3, tzinfo=UTC)

    with client_on(wire) as client:
        found = client.history_during_period(start, end, ("sensor.a",))

    assert found == rows
    assert wire.sent[2] == {
        "id": 2,
        "type": "history/history_during_period",
        "start_time": "2026-11-21T02:00:00+00:00",
        "end_time": "2026-11-21T03:00:00+00:00",
        "entity_ids": ["sensor.a"],
        "include_start_time_state": False,
        "significant_changes_only": False,
        "minimal_response": False,
        "no_attributes": False,
    }


def test_what_a_subscription_tells_first_is_returned_and_the_subscription_ended() -> None:
    told = orjson.dumps({"id": 4, "type": "event", "event": {"rtt": 30}})
    again = orjson.dumps({"id": 4, "type": "event", "event": {"rtt": 31}})
    silence = websocket.WebSocketTimeoutException()
    heard = (accepted(2), refused(3, "not_found"), accepted(4), told, again, silence)
    wire = ScriptedSocket(*HANDSHAKE, *heard, accepted(5))
    asked = [("zwave_js/subscribe_node_statistics", {"device_id": name}) for name in ("silent", "gone", "near")]

    with client_on(wire) as client:
        found = client.first_events(asked)

    assert found == [None, None, {"rtt": 30}]
    assert wire.sent[-1] == {"id": 5, "type": "unsubscribe_events", "subscription": 4}


def test_a_pong_answers_a_ping() -> None:
    with client_on(ScriptedSocket(*HANDSHAKE, b'{"id":2,"type":"pong"}')) as client:
        assert client.ping() >= 0


def test_an_answer_with_bare_nan_and_huge_numbers_is_read() -> None:
    odd = b'{"id":2,"type":"result","success":true,"result":{"a":NaN,"n":36893488147419103232}}'

    with client_on(ScriptedSocket(*HANDSHAKE, odd)) as client:
        assert client.get_config()["n"] == 2**65


def test_no_answer_in_time_is_said_so() -> None:
    with client_on(ScriptedSocket(*HANDSHAKE)) as client, pytest.raises(errors.HomeAssistantUnavailable, match="60 s"):
        client.get_states()


def test_a_connection_that_ends_while_an_answer_is_due_is_unavailable() -> None:
    wire = ScriptedSocket(*HANDSHAKE, websocket.WebSocketConnectionClosedException("lost"))

    with client_on(wire) as client, pytest.raises(errors.HomeAssistantUnavailable):
        client.get_states()


def test_a_client_that_was_not_entered_asks_nothing() -> None:
    with pytest.raises(errors.HomeAssistantUnavailable, match="context manager"):
        client_on(ScriptedSocket(*HANDSHAKE)).get_states()


def rendered(number: int, **told: Any) -> bytes:
    return orjson.dumps({"id": number, "type": "event", "event": told})


def test_a_template_is_rendered_once_and_not_followed_also_where_all_comes_in_one_frame() -> None:
    told = {"result": 2, "listeners": {"entities": ["light.a"], "domains": [], "all": False, "time": False}}
    together = b"[" + answer(2, None) + b"," + rendered(2, **told) + b"]"
    apart = (answer(4, None), rendered(4, error="'x' is undefined", level="WARNING"), rendered(4, **told))
    wire = ScriptedSocket(*HANDSHAKE, together, answer(3, None), *apart, answer(5, None))

    with client_on(wire) as client:
        found = [client.render_template("{{ expand('group.a') }}") for _ in range(2)]

    assert found == [told, told]
    assert wire.sent[2] == {
        "id": 2,
        "type": "render_template",
        "template": "{{ expand('group.a') }}",
        "timeout": 1.0,
        "report_errors": True,
    }
    assert [one for one in wire.sent if one["type"] == "unsubscribe_events"] == [
        {"id": 3, "type": "unsubscribe_events", "subscription": 2},
        {"id": 5, "type": "unsubscribe_events", "subscription": 4},
    ]


def test_a_template_that_fails_gives_nothing_and_one_that_is_refused_says_so() -> None:
    failing = (answer(2, None), rendered(2, error="division by zero", level="ERROR"), answer(3, None))
    wire = ScriptedSocket(*HANDSHAKE, *failing, refused(4, "template_error"), refused(5, "not_found"))

    with client_on(wire) as client:
        assert client.render_template("{{ 1 / 0 }}") is None
        with pytest.raises(errors.CommandRefused):
            client.render_template("{{")
