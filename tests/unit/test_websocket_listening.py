"""What the listener does with what a home says: events through, answers apart, losses named."""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import orjson
import pytest
import websocket
from structlog.testing import capture_logs

from ingestor import errors, metrics
from ingestor.homeassistant.connection import Connection
from ingestor.homeassistant.event_types import OPEN_TO_ALL
from ingestor.intake.websocket import Gap, WebSocketListener
from ingestor.intake.websocket.session import Session
from ingestor.intake.websocket.subscriptions import Subscriptions
from ingestor.settings import HomeAssistantSettings, HomeSettings
from tests.unit.websocket_wire import (
    HANDSHAKE,
    ListSink,
    NoPause,
    ScriptedSocket,
    accepted,
    event,
    refused,
    settings,
)

CUT = websocket.WebSocketConnectionClosedException("Connection to remote host was lost.")


START = datetime(2025, 11, 21, 2, 47, tzinfo=UTC)


def at(second: int) -> str:
    return (START + timedelta(seconds=second)).isoformat(timespec="microseconds")


def at_us(second: int) -> int:
    return int((START + timedelta(seconds=second)).timestamp()) * 1_000_000


class Stage:
    """A listener on scripted sockets, one for each connection; stops when the last one has no more to say."""

    def __init__(self, *wires: ScriptedSocket, **changes: Any) -> None:
        self.stop = threading.Event()
        self.sink = ListSink()
        self.wires = wires
        self.ups: list[bool] = []
        self.gaps: list[Gap] = []
        self.registry_changes = 0
        wires[-1].idle = self.stop.set
        waiting = deque(wires)
        chance = changes.pop("chance", NoPause())
        before, on_up = changes.pop("before", None), changes.pop("on_up", self.ups.append)
        chosen = settings(**{"event_types": ["state_changed"], **changes})
        self.listener = WebSocketListener(
            HomeSettings(homeassistant=chosen),
            sink=self.sink,
            on_up=on_up,
            on_gap=self.gaps.append,
            on_registry_change=self._count,
            before=before,
            connect=partial(Connection.open, open_socket=lambda *_: waiting.popleft()),
            chance=chance,
        )

    def _count(self) -> None:
        self.registry_changes += 1

    def run(self) -> Stage:
        self.listener.run(self.stop)
        return self

    def over(self) -> list[Gap]:
        """Return the gaps that are over, as they were told."""
        return [gap for gap in self.gaps if gap.end_us]

    def payloads(self) -> list[bytes]:
        return [frame.payload for frame in self.sink.frames]


def heard(*frames: Any, date: str = "") -> ScriptedSocket:
    return ScriptedSocket(*HANDSHAKE, accepted(2), *frames, date=date)


def test_events_go_through_as_they_came_and_answers_do_not() -> None:
    single, coalesced = orjson.dumps(event("1")), orjson.dumps([event("2"), event("3")])

    stage = Stage(heard(single, coalesced)).run()

    assert stage.payloads() == [single, coalesced]
    assert all(frame.kind == "websocket" and frame.received_ns > 0 for frame in stage.sink.frames)


def test_an_event_that_overtakes_the_answer_to_its_subscription_is_kept() -> None:
    early = orjson.dumps(event("1"))

    stage = Stage(ScriptedSocket(*HANDSHAKE, early, accepted(2))).run()

    assert stage.payloads() == [early]
    assert stage.ups == [True, False]


def test_a_frame_that_mixes_answers_and_events_is_kept_whole_and_its_answers_count() -> None:
    mixed = b"[" + accepted(2) + b"," + orjson.dumps(event("1")) + b"]"

    stage = Stage(ScriptedSocket(*HANDSHAKE, mixed)).run()

    assert stage.payloads() == [mixed]
    assert stage.ups == [True, False]


def test_an_event_that_speaks_of_results_is_no_answer() -> None:
    tricky = orjson.dumps(event('{"type":"result","id":2}')).replace(b"sensor.a", b'result","type":"pong')

    stage = Stage(ScriptedSocket(*HANDSHAKE, tricky)).run()

    assert stage.payloads() == [tricky]
    assert stage.ups == []


@pytest.mark.parametrize("rubbish", [b"\x00\xff result", b'{"type":"event"', b"[]garbage", b'"result"', b"5"])
def test_rubbish_is_kept_for_quarantine_and_ends_nothing(rubbish: bytes) -> None:
    good = orjson.dumps(event("1"))

    stage = Stage(ScriptedSocket(*HANDSHAKE, rubbish, accepted(2), good)).run()

    assert stage.payloads() == [rubbish, good]


def test_secrets_are_gone_before_a_frame_is_handed_on() -> None:
    secret = b'{"type":"event","event":{"data":{"service_data":{"code":"1234"}}}}'

    stage = Stage(heard(secret)).run()

    assert stage.payloads() == [secret.replace(b"1234", b"**redacted**")]


def test_each_type_is_subscribed_to_by_its_exact_name() -> None:
    wire = ScriptedSocket(*HANDSHAKE, *map(accepted, range(2, 6)))

    Stage(wire, event_types=["state_changed", "user_*"]).run()

    assert [(sent["id"], sent["event_type"]) for sent in wire.sent if sent["type"] == "subscribe_events"] == [
        (2, "state_changed"),
        (3, "user_added"),
        (4, "user_removed"),
        (5, "user_updated"),
    ]


def test_what_a_token_may_not_hear_is_reported_once_and_left_out() -> None:
    types = ["state_changed", "automation_triggered", "call_service"]
    first = ScriptedSocket(*HANDSHAKE, refused(3), refused(4), accepted(2), CUT)
    second = ScriptedSocket(*HANDSHAKE, accepted(2))

    with capture_logs() as logs:
        stage = Stage(first, second, event_types=types).run()

    reports = [entry for entry in logs if entry["event"] == "event_types_refused"]
    assert [entry["event_types"] for entry in reports] == [["automation_triggered", "call_service"]]
    assert reports[0]["lost"] == ["which automation caused a change", "service calls"]
    assert [sent["event_type"] for sent in second.sent[2:] if "event_type" in sent] == ["state_changed"]
    assert stage.ups == [True, False, True, False]
    assert stage.listener.status()["refused"] == {
        "automation_triggered": "unauthorized",
        "call_service": "unauthorized",
    }


def test_all_events_ask_without_a_type_and_fall_back_to_what_anybody_may_hear() -> None:
    wire = ScriptedSocket(*HANDSHAKE, refused(2), *map(accepted, range(3, 3 + len(OPEN_TO_ALL))))

    stage = Stage(wire, all_events=True).run()

    asked = [sent.get("event_type") for sent in wire.sent[2:] if sent["type"] == "subscribe_events"]
    assert asked[0] is None
    assert set(asked[1:]) == OPEN_TO_ALL
    assert stage.ups == [True, False]


def test_when_every_subscription_is_refused_the_home_is_not_up_and_all_is_tried_again() -> None:
    first = ScriptedSocket(*HANDSHAKE, refused(2, "unknown_error"))
    second = heard()

    stage = Stage(first, second).run()

    assert stage.ups == [True, False]
    assert second.sent[2]["event_type"] == "state_changed"


def test_a_lost_connection_is_made_again_with_its_subscriptions_and_the_gap_is_named() -> None:
    first = heard(orjson.dumps(event("1", fired=at(1))), CUT)
    second = heard(orjson.dumps(event("2", fired=at(5))), orjson.dumps(event("3", fired=at(6))))

    stage = Stage(first, second).run()

    gap = Gap("cut", at_us(1), at_us(5))
    assert stage.gaps == [Gap("cut", at_us(1)), gap]
    assert second.sent[2]["event_type"] == "state_changed"
    assert first.closed
    assert stage.listener.status()["gaps"] == [gap.as_dict()]


def test_a_gap_begins_with_the_last_event_that_is_in_the_journal_not_with_what_was_only_read() -> None:
    stage: Stage

    def stall() -> None:
        stage.sink.stalls = True

    kept, read = (orjson.dumps(event(str(n), fired=at(n))) for n in (1, 2))
    stage = Stage(heard(kept, stall, read, CUT), heard(orjson.dumps(event("3", fired=at(9)))))

    stage.run()

    assert [(gap.start_us, gap.end_us) for gap in stage.over()] == [(at_us(1), at_us(9))]


def test_a_frame_without_a_time_moves_no_gap_since_events_may_wait_behind_it() -> None:
    untimed = orjson.dumps({"type": "event", "event": {"event_type": "odd"}})
    first = heard(orjson.dumps(event("1", fired=at(1))), untimed, untimed, CUT)

    stage = Stage(first, heard(orjson.dumps(event("2", fired=at(9))))).run()

    assert [gap.start_us for gap in stage.over()] == [at_us(1)]


def test_a_gap_is_told_by_the_time_of_events_however_late_they_are_read() -> None:
    late = [event(str(n), fired=at(n)) for n in range(3)]

    stage = Stage(heard(orjson.dumps(late), CUT), heard(orjson.dumps(event("3", fired=at(100))))).run()

    assert [gap.start_us for gap in stage.over()] == [at_us(2)]


def test_events_from_the_future_and_from_long_ago_move_neither_end_of_a_gap() -> None:
    now = datetime.now(UTC)
    kept, future, past = (
        orjson.dumps(event("1", fired=(now + timedelta(hours=hours)).isoformat())) for hours in (0, 300, -300)
    )
    first = heard(kept, future, past, CUT, date=format_datetime(now, usegmt=True))
    second = heard(past, future, date=format_datetime(now, usegmt=True))

    stage = Stage(first, second).run()

    ((start_us, end_us),) = [(gap.start_us, gap.end_us) for gap in stage.over()]
    assert start_us == int(now.timestamp() * 1_000_000)
    assert 0 < end_us - start_us < 60 * 1_000_000


def test_a_gap_that_an_earlier_run_began_in_the_future_begins_now() -> None:
    future_us = time.time_ns() // 1000 + 3600 * 1_000_000

    stage = Stage(heard(), before=Gap("not_running", future_us)).run()

    assert [gap.start_us <= time.time_ns() // 1000 for gap in stage.gaps] == [True]


def test_in_a_home_that_says_nothing_a_gap_ends_by_our_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestor.intake.websocket.listener._QUIET_S", 0.0)
    stage = Stage(heard(orjson.dumps(event("1", fired=at(1))), CUT), heard(websocket.WebSocketTimeoutException("none")))
    began_us = time.time_ns() // 1000

    stage.run()

    (gap,) = stage.over()
    assert (gap.start_us, gap.end_us >= began_us) == (at_us(1), True)


@pytest.mark.parametrize(
    ("last", "how", "types", "reason"),
    [
        ("homeassistant_stop", CUT, ["state_changed", "homeassistant_stop"], "restart"),
        ("homeassistant_stop", (8, b"\x03\xe8"), ["state_changed", "homeassistant_stop"], "restart"),
        ("state_changed", (8, b"\x03\xe8"), ["state_changed", "homeassistant_stop"], "overload"),
        ("state_changed", (8, b"\x03\xe8"), ["state_changed"], "closed"),
        ("state_changed", (8, b"\x03\xe9"), ["state_changed", "homeassistant_stop"], "closed"),
        ("state_changed", CUT, ["state_changed", "homeassistant_stop"], "cut"),
    ],
)
def test_the_end_of_a_connection_is_named_by_what_home_assistant_said_before(
    last: str, how: Any, types: list[str], reason: str
) -> None:
    answers = [accepted(2 + number) for number in range(len(types))]
    first = ScriptedSocket(*HANDSHAKE, *answers, orjson.dumps(event("1", last, fired=at(1))), how)

    stage = Stage(first, ScriptedSocket(*HANDSHAKE, *answers), event_types=types).run()

    assert [gap.reason for gap in stage.gaps] == [reason]


def test_a_connection_that_ends_while_we_read_late_was_an_overload() -> None:
    now = datetime.now(UTC)
    fresh, late = (orjson.dumps(event("1", fired=(now - timedelta(seconds=s)).isoformat())) for s in (0, 30))

    stage = Stage(heard(fresh, late, CUT), heard()).run()

    assert [gap.reason for gap in stage.gaps] == ["overload"]


class _Noting(NoPause):
    """Takes no pause, and notes how long each might have been."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[float] = []

    def uniform(self, a: float, b: float) -> float:
        self.limits.append(b)
        return a


@pytest.mark.parametrize(("held_s", "limits"), [(0.0, [1, 2, 2, 2, 2, 2]), (10.0, [1, 2, 4, 8, 16, 32])])
def test_a_home_that_was_heard_for_long_is_looked_for_often_at_first(
    held_s: float, limits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestor.intake.websocket.listener._HELD_S", held_s)
    chance = _Noting()
    away = [ScriptedSocket(ConnectionResetError("reset")) for _ in range(5)]

    Stage(heard(CUT), *away, heard(), chance=chance).run()

    assert chance.limits == limits


def test_what_an_earlier_run_kept_last_begins_the_first_gap() -> None:
    stage = Stage(heard(orjson.dumps(event("1", fired=at(4)))), before=Gap("not_running", at_us(2))).run()

    assert stage.gaps == [Gap("not_running", at_us(2)), Gap("not_running", at_us(2), at_us(4))]


def test_a_first_start_has_no_gap() -> None:
    assert Stage(heard()).run().gaps == []


def test_a_refused_token_ends_the_listener_at_the_first_refusal() -> None:
    invalid = b'{"type":"auth_invalid","message":"Invalid access token or password"}'
    spare = heard()
    stage = Stage(heard(CUT), ScriptedSocket(HANDSHAKE[0], invalid), spare)

    with pytest.raises(errors.AuthenticationRefused):
        stage.run()

    assert spare.sent == []
    assert stage.ups == [True, False]
    assert "refused the access token" in stage.listener.status()["last_error"]


def test_a_full_journal_costs_frames_that_are_counted_and_never_the_connection() -> None:
    kinds = ["state_changed", "call_service", "state_changed", "state_changed"]
    frames = [orjson.dumps([event("a", fired=at(n)), event("b", kind, fired=at(n))]) for n, kind in enumerate(kinds)]
    stage: Stage

    def fill() -> None:
        stage.sink.full = True

    def drain() -> None:
        stage.sink.full = False

    stage = Stage(heard(frames[0], fill, frames[1], frames[2], drain, frames[3]))

    stage.run()

    assert stage.payloads() == [frames[0], frames[3]]
    lost = {"call_service": 1}
    assert stage.over() == [Gap("journal_full", at_us(0), at_us(3), frames=2, events=4, lost=lost)]
    status = stage.listener.status()
    assert (status["frames"], status["dropped_frames"], status["dropped_events"]) == (4, 2, 4)
    assert stage.ups == [True, False]


def test_a_gap_of_the_journal_is_told_when_it_begins() -> None:
    stage: Stage

    def fill() -> None:
        stage.sink.full = True

    stage = Stage(heard(orjson.dumps(event("1", fired=at(1))), fill, orjson.dumps(event("2", fired=at(2)))))

    stage.run()

    assert stage.gaps == [Gap("journal_full", at_us(1), frames=1, events=1)]
    assert stage.listener.heard == (at_us(1), stage.gaps)


def test_frames_connections_and_losses_are_counted_for_the_metrics() -> None:
    names = ("frames", "connects", "disconnects", "events_lost")
    counters = [metrics.counter(f"ingestor_{name}_total", home="home", source="websocket") for name in names]
    before = [counter._value.get() for counter in counters]
    stage: Stage

    def fill() -> None:
        stage.sink.full = True

    kept, dropped = orjson.dumps(event("1")), orjson.dumps([event("2"), event("3")])
    stage = Stage(heard(kept, CUT), heard(fill, dropped))

    stage.run()

    assert [counter._value.get() - was for counter, was in zip(counters, before, strict=True)] == [2, 2, 1, 2]


def test_a_gap_that_is_not_over_shows_in_the_status() -> None:
    stage: Stage

    def fill() -> None:
        stage.sink.full = True

    stage = Stage(heard(fill, orjson.dumps(event("1"))))

    stage.run()

    (gap,) = stage.listener.status()["gaps"]
    assert (gap["reason"], gap["end_us"], gap["events"]) == ("journal_full", 0, 1)


def test_a_change_of_a_registry_is_told_also_from_within_a_coalesced_frame() -> None:
    change = orjson.dumps([event("1"), event("x", "entity_registry_updated"), event("2")])

    stage = Stage(heard(orjson.dumps(event("1")), change)).run()

    assert stage.registry_changes == 1
    assert len(stage.sink.frames) == 2


@pytest.mark.parametrize(
    ("event_type", "tells"),
    [
        *[(name, 1) for name in ("core_config_updated", "automation_reloaded", "scene_reloaded", "component_loaded")],
        *[(name, 1) for name in ("user_added", "user_removed", "category_registry_updated", "homeassistant_started")],
        *[(name, 1) for name in ("repairs_issue_registry_updated", "label_registry_updated")],
        *[(name, 0) for name in ("state_changed", "automation_triggered", "call_service", "user_happy")],
    ],
)
def test_whatever_changes_the_home_is_told_and_nothing_else(event_type: str, tells: int) -> None:
    stage = Stage(heard(orjson.dumps(event("registry_updated", event_type)))).run()

    assert (stage.registry_changes, len(stage.sink.frames)) == (tells, 1)


def test_a_reload_asked_for_changes_the_home() -> None:
    data = {"domain": "script", "service": "reload", "service_data": {}}
    called = {"type": "event", "event": {"event_type": "call_service", "data": data}, "id": 2}

    assert Stage(heard(orjson.dumps(called))).run().registry_changes == 1


def test_a_change_of_an_integration_is_told_and_is_no_event() -> None:
    entry = {"type": "event", "event": [{"type": "updated", "entry": {"entry_id": "e", "state": "loaded"}}], "id": 3}
    among = orjson.dumps([event("1"), entry])
    stage = Stage(heard(accepted(3), orjson.dumps(entry), among, orjson.dumps([entry, entry])))

    stage.run()

    assert stage.wires[0].sent[3]["type"] == "config_entries/subscribe"
    assert stage.registry_changes == 4
    assert stage.payloads() == [among]


def test_a_home_assistant_that_tells_nothing_of_integrations_is_heard_all_the_same() -> None:
    stage = Stage(heard(refused(3, "unknown_command"), orjson.dumps(event("1")))).run()

    assert (stage.ups, len(stage.sink.frames)) == ([True, False], 1)


def test_a_callback_that_fails_does_not_end_the_listening() -> None:
    def fail(up: bool) -> None:
        raise errors.StateUnavailable

    stage = Stage(heard(orjson.dumps(event("1"))), on_up=fail).run()

    assert len(stage.sink.frames) == 1


def test_a_stop_does_not_wait_for_an_address_that_swallows_packets() -> None:
    stop, trying, answered = threading.Event(), threading.Event(), threading.Event()
    wire = ScriptedSocket(*HANDSHAKE)

    def connect(chosen: HomeAssistantSettings) -> Connection:
        trying.set()
        assert answered.wait(10)
        return Connection.open(chosen, open_socket=lambda *_: wire)

    listener = WebSocketListener(HomeSettings(homeassistant=settings()), sink=ListSink(), connect=connect)
    thread = threading.Thread(target=listener.run, args=(stop,))
    thread.start()
    assert trying.wait(10)

    stop.set()
    thread.join(5)

    assert not thread.is_alive()
    answered.set()
    assert wire.gone.wait(5)


class Life:
    """A session whose clock is ours: each idle tick moves it on by a second."""

    def __init__(self, *script: Any, ticks: int) -> None:
        self.now = 0.0
        self.ticks = ticks
        self.stop = threading.Event()
        self.wire = ScriptedSocket(*HANDSHAKE, *script, idle=self._tick)
        self.taken: list[bytes] = []
        chosen = settings(event_types=["state_changed"], ping_every_s=20, dead_after_s=10)
        connection = Connection.open(chosen, open_socket=lambda *_: self.wire)
        self.session = Session(connection, chosen, Subscriptions(chosen), self, clock=lambda: self.now)

    def _tick(self) -> None:
        self.now += 1
        self.ticks -= 1
        if self.ticks <= 0:
            self.stop.set()

    def take(self, payload: bytes) -> None:
        self.taken.append(payload)

    def ready(self) -> None:
        pass

    def quiet(self) -> None:
        pass

    def home_changed(self) -> None:
        pass

    def say(self, message: dict[str, Any]) -> None:
        self.wire.script.append(orjson.dumps(message))

    def pings(self) -> list[int]:
        return [sent["id"] for sent in self.wire.sent if sent["type"] == "ping"]


def test_a_quiet_home_is_pinged_and_a_pong_keeps_it_alive() -> None:
    life = Life(accepted(2), ticks=70)
    answer = life.wire.send

    def send(payload: bytes) -> int:
        message = orjson.loads(payload)
        if message["type"] == "ping":
            life.say({"id": message["id"], "type": "pong"})
        return answer(payload)

    life.wire.send = send  # type: ignore[method-assign]  # this peer answers

    life.session.listen(life.stop)

    assert life.pings() == [4, 5, 6]
    assert life.taken == []


def test_a_peer_that_answers_no_ping_and_says_nothing_else_is_dead() -> None:
    life = Life(accepted(2), ticks=100)

    with pytest.raises(errors.ConnectionLost) as caught:
        life.session.listen(life.stop)

    assert caught.value.reason == "silent"
    assert life.now == 31


def test_events_are_a_sign_of_life_while_the_pong_waits_behind_them() -> None:
    life = Life(accepted(2), ticks=60)
    tick = life.wire.idle

    def tick_and_speak() -> None:
        tick()
        if life.now % 5 == 0:
            life.say(event(str(life.now)))

    life.wire.idle = tick_and_speak

    life.session.listen(life.stop)

    assert life.pings() == [4]
    assert len(life.taken) >= 10
