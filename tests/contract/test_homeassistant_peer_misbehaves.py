"""What goes wrong between us and Home Assistant, as the demo server does it when it is asked to."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest
import websocket

from ingestor.demo.client import MOST_PENDING
from ingestor.demo.home import DemoHome
from ingestor.demo.load import LoadSource
from ingestor.demo.misbehaviour import RUBBISH, Misbehaviour
from ingestor.demo.running import RunningDemo, running_demo
from tests.servers import wait_until


@pytest.fixture
def demo() -> Iterator[RunningDemo]:
    with running_demo(entities=60) as running:
        yield running


def connect(demo: RunningDemo, *, coalesce: bool = False, timeout_s: float = 10) -> websocket.WebSocket:
    line = websocket.create_connection(demo.websocket_url, timeout=timeout_s, skip_utf8_validation=True)
    line.recv()
    line.send(json.dumps({"type": "auth", "access_token": demo.token}))
    assert json.loads(line.recv())["type"] == "auth_ok"
    line.send(
        json.dumps({"id": 1, "type": "supported_features", "features": {"coalesce_messages": 1} if coalesce else {}})
    )
    line.recv()
    line.send(json.dumps({"id": 2, "type": "subscribe_events"}))
    line.recv()
    return line


def test_a_cut_connection_ends_without_a_goodbye_and_another_can_be_made(demo: RunningDemo) -> None:
    line = connect(demo)

    assert demo.control.cut() == 1

    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
        line.recv()
    connect(demo).close()


def test_a_stalled_connection_is_silent_and_then_goes_on_where_it_was(demo: RunningDemo) -> None:
    line = connect(demo, timeout_s=0.3)

    demo.control.stall(0.8)
    demo.control.fire("demo_first")
    line.ping()
    with pytest.raises(websocket.WebSocketTimeoutException):
        line.recv()
    line.settimeout(5)

    assert json.loads(line.recv())["event"]["event_type"] == "demo_first"


def test_a_token_can_be_refused_from_now_on_and_accepted_again(demo: RunningDemo) -> None:
    demo.control.refuse_token()

    line = websocket.create_connection(demo.websocket_url, timeout=60)
    line.recv()
    line.send(json.dumps({"type": "auth", "access_token": demo.token}))
    refusal = json.loads(line.recv())
    demo.control.refuse_token(refuse=False)

    assert refusal["type"] == "auth_invalid"
    connect(demo).close()


@pytest.mark.parametrize("kind", RUBBISH)
def test_rubbish_arrives_as_it_is_between_true_events(demo: RunningDemo, kind: str) -> None:
    line = connect(demo)

    demo.control.fire("demo_before")
    wait_until(lambda: _nothing_waits(demo), timeout_s=60, what="the event is sent")
    demo.control.send_rubbish(kind)
    demo.control.fire("demo_after")

    assert b"demo_before" in line.recv_data()[1]
    assert line.recv_data()[1] == RUBBISH[kind]
    assert b"demo_after" in line.recv_data()[1]


def _nothing_waits(demo: RunningDemo) -> bool:
    return demo.control.pending() == 0


@pytest.mark.parametrize(("version", "code"), [("2024.3.3", None), ("2026.2.3", 1000)])
def test_who_reads_too_slowly_is_cut_off_after_what_was_sent(version: str, code: int | None) -> None:
    with running_demo(DemoHome(entities=20, ha_version=version, sensors_only=True)) as demo:
        line = connect(demo)
        large = {"filling": "x" * 4000}

        def flood(home: DemoHome) -> None:
            for number in range(MOST_PENDING + 2):
                home.bus.fire("demo_flood", {**large, "number": number})

        demo.control.call(flood)
        wait_until(lambda: demo.control.clients() == 0, timeout_s=60, what="the slow reader is cut off")

        received = []
        ended: int | None = None
        with contextlib.suppress(websocket.WebSocketException, ConnectionError):
            while ended is None:
                opcode, data = line.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    ended = int.from_bytes(data[:2], "big")
                else:
                    received.append(json.loads(data)["event"]["data"]["number"])

        assert received == list(range(len(received)))
        assert len(received) < MOST_PENDING
        assert ended == code


def test_a_quick_reader_hears_a_flood_in_full(demo: RunningDemo) -> None:
    line = connect(demo, coalesce=True)

    def flood(home: DemoHome) -> None:
        for number in range(MOST_PENDING):
            home.bus.fire("demo_flood", {"number": number})

    demo.control.call(flood)
    numbers: list[int] = []
    while len(numbers) < MOST_PENDING:
        frame = json.loads(line.recv())
        numbers += [one["event"]["data"]["number"] for one in (frame if isinstance(frame, list) else [frame])]

    assert numbers == list(range(MOST_PENDING))


def test_what_is_to_go_wrong_from_time_to_time_goes_wrong_by_itself() -> None:
    with running_demo(entities=20, misbehaviour=Misbehaviour(cut_every_s=0.3)) as demo:
        line = connect(demo)

        with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
            line.recv()


def test_load_sends_each_number_once_and_tells_history_of_all_of_them() -> None:
    home = DemoHome(entities=40, sensors_only=True)
    source = LoadSource(home)
    source.take_over()
    with running_demo(home) as demo:
        line = connect(demo, coalesce=True)
        for _ in range(4):
            demo.control.send_load(source, 250)
        numbers: list[int] = []
        while len(numbers) < 1000:
            frame = json.loads(line.recv())
            numbers += [int(one["event"]["data"]["new_state"]["state"]) for one in frame]
        entity_id = source.entity_ids[7]
        asked = {"start_time": "2026-01-01T00:00:00+00:00", "entity_ids": [entity_id], "no_attributes": True}
        line.send(json.dumps({"id": 3, "type": "history/history_during_period", **asked}))
        rows = json.loads(line.recv())["result"][entity_id]

    assert numbers == list(range(1000))
    assert [int(row["s"]) for row in rows] == list(range(7, 1000, 40))


def test_a_fault_within_a_command_is_an_unknown_error_and_the_connection_lives(demo: RunningDemo) -> None:
    line = connect(demo)
    demo.control.call(lambda home: setattr(home, "recorder", None))

    asked = {"start_time": "2026-01-01T00:00:00+00:00", "entity_ids": ["sensor.any"]}
    line.send(json.dumps({"id": 3, "type": "history/history_during_period", **asked}))
    answer = json.loads(line.recv())
    line.send(json.dumps({"id": 4, "type": "ping"}))

    assert answer["error"] == {"code": "unknown_error", "message": "Unknown error"}
    assert json.loads(line.recv()) == {"id": 4, "type": "pong"}


def test_who_only_knocks_at_the_port_disturbs_nobody(demo: RunningDemo, capfd: pytest.CaptureFixture[str]) -> None:
    socket.create_connection(("127.0.0.1", demo.port)).close()
    connect(demo).close()

    assert capfd.readouterr().err == ""


def test_the_demo_stops_within_a_second_though_a_client_says_nothing() -> None:
    with running_demo(entities=20) as demo:
        connect(demo)
        begun = time.monotonic()

    assert time.monotonic() - begun < 1
