"""Listener and client on a real Home Assistant of two versions: what they rely on is so."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from ingestor import errors
from ingestor.events.frame import Frame
from ingestor.homeassistant.client import HomeAssistantClient
from ingestor.homeassistant.event_types import OPEN_TO_ALL, expand
from ingestor.intake.websocket import WebSocketListener
from ingestor.settings import DEFAULT_EVENT_TYPES, HomeAssistantSettings, HomeSettings
from tests.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.homeassistant.run import HomeAssistant

pytestmark = pytest.mark.homeassistant


@pytest.fixture(params=["homeassistant", "homeassistant_2026"])
def home(request: pytest.FixtureRequest) -> HomeAssistant:
    """Each of the two in turn."""
    found: HomeAssistant = request.getfixturevalue(request.param)
    return found


class Heard:
    """Frames as the listener handed them on."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def add(self, frame: Frame, on_journaled: Callable[[], None] | None = None) -> None:
        self.frames.append(frame)

    def events(self, event_type: str) -> list[dict[str, Any]]:
        decoded = [orjson.loads(frame.payload) for frame in list(self.frames)]
        messages = [message for item in decoded for message in (item if isinstance(item, list) else [item])]
        return [message["event"] for message in messages if message["event"]["event_type"] == event_type]

    def states_of(self, entity_id: str) -> list[str]:
        changes = [event["data"] for event in self.events("state_changed")]
        return [data["new_state"]["state"] for data in changes if data["entity_id"] == entity_id]


def settings(home: HomeAssistant, token: str | None = None, **changes: Any) -> HomeAssistantSettings:
    return HomeAssistantSettings.model_validate({"url": home.url, "token": token or home.token, **changes})


@contextmanager
def listening(chosen: HomeAssistantSettings) -> Iterator[tuple[WebSocketListener, Heard]]:
    heard, stop = Heard(), threading.Event()
    listener = WebSocketListener(HomeSettings(homeassistant=chosen), sink=heard)
    thread = threading.Thread(target=listener.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: listener.status()["up"], timeout_s=60, what="the listener is up")
        yield listener, heard
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def test_an_admin_hears_every_default_type_with_causes_and_coalesced(home: HomeAssistant) -> None:
    with listening(settings(home)) as (listener, heard):
        home.call_service("input_button.press", entity_id="input_button.press")

        wait_until(lambda: len(heard.events("automation_triggered")) == 3, timeout_s=60, what="the chain ran")
        status = listener.status()
        assert status["refused"] == {}
        assert status["subscribed"] == list(expand(DEFAULT_EVENT_TYPES).names)
        assert (status["ha_version"], status["coalesced"]) == (home.version, True)
        assert heard.events("call_service")


def test_a_burst_arrives_complete_and_in_order(home: HomeAssistant) -> None:
    with listening(settings(home)) as (_, heard):
        for number in range(100):
            home.set_state("sensor.listener_burst", number)

        wait_until(lambda: len(heard.states_of("sensor.listener_burst")) >= 100, timeout_s=60, what="all are there")
        assert heard.states_of("sensor.listener_burst") == [str(number) for number in range(100)]


def test_all_events_include_types_that_nobody_named(home: HomeAssistant) -> None:
    with listening(settings(home, all_events=True)) as (_, heard):
        home.fire_event("something_of_my_own", code="1234")

        wait_until(lambda: bool(heard.events("something_of_my_own")), timeout_s=60, what="the event is there")
        assert heard.events("something_of_my_own")[0]["data"] == {"code": "**redacted**"}


def test_a_user_who_is_no_admin_hears_states_and_is_told_what_is_missing(home: HomeAssistant) -> None:
    with listening(settings(home, home.user_token)) as (listener, heard):
        home.set_state("sensor.listener_plain", 1)

        wait_until(lambda: bool(heard.states_of("sensor.listener_plain")), timeout_s=60, what="the state is there")
        status = listener.status()
        assert {"automation_triggered", "script_started", "call_service"} <= set(status["refused"])
        assert set(status["refused"].values()) == {"unauthorized"}
        assert set(status["subscribed"]) <= OPEN_TO_ALL


def test_a_user_who_is_no_admin_and_wants_all_gets_what_anybody_may_hear(home: HomeAssistant) -> None:
    with listening(settings(home, home.user_token, all_events=True)) as (listener, heard):
        home.set_state("sensor.listener_plain_all", 1)

        wait_until(lambda: bool(heard.states_of("sensor.listener_plain_all")), timeout_s=60, what="the state is there")
        assert "state_changed" in listener.status()["subscribed"]
        assert listener.status()["refused"]["*"] == "unauthorized"


def test_a_wrong_token_ends_the_listener_at_once(home: HomeAssistant) -> None:
    listener = WebSocketListener(HomeSettings(homeassistant=settings(home, "no-such-token")), sink=Heard())

    with pytest.raises(errors.AuthenticationRefused, match="long-lived access token"):
        listener.run(threading.Event())


def test_pings_are_answered(home: HomeAssistant) -> None:
    with listening(settings(home, ping_every_s=0.2, dead_after_s=2)) as (listener, _):
        time.sleep(1.5)  # several pings long: nothing else would tell that they were answered

        assert listener.status()["connections"] == 1


def test_the_client_reads_registries_states_and_rights(home: HomeAssistant) -> None:
    with HomeAssistantClient(settings(home)) as client:
        assert client.ha_version == home.version
        assert client.current_user()["is_admin"]
        assert client.get_config()["state"] == "RUNNING"
        assert {entity["entity_id"] for entity in client.entities()} & {
            state["entity_id"] for state in client.get_states()
        }
        assert all(device["id"] for device in client.devices())
        assert all(area["name"] for area in client.areas())
        assert isinstance(client.floors(), list)
        assert isinstance(client.labels(), list)
        assert "mqtt" in {entry["domain"] for entry in client.config_entries()}
        assert "demo" in {manifest["domain"] for manifest in client.manifests()}
        assert "light" in client.services()
        assert client.recorder_info()["recording"]
        assert client.ping() < 5


def test_history_has_each_change_as_it_was_heard_and_no_row_that_never_was(home: HomeAssistant) -> None:
    entity_id = f"sensor.listener_history_{time.monotonic_ns()}"
    start = datetime.now(UTC) - timedelta(seconds=5)
    with listening(settings(home)) as (_, heard), HomeAssistantClient(settings(home)) as client:
        home.set_state(entity_id, 1, note="a")
        home.set_state(entity_id, 1, note="b")
        home.set_state(entity_id, 2, note="b")
        wait_until(lambda: len(heard.states_of(entity_id)) == 3, timeout_s=60, what="all were heard")

        def rows() -> list[Any]:
            return [*client.history_during_period(start, datetime.now(UTC), [entity_id]).get(entity_id, [])]

        wait_until(lambda: len(rows()) == 3, timeout_s=60, what="the recorder wrote them")
        changes = [event["data"]["new_state"] for event in heard.events("state_changed")]
        live = [datetime.fromisoformat(new["last_updated"]) for new in changes if new["entity_id"] == entity_id]
        read_back = [datetime.fromtimestamp(round(row["lu"] * 1e6) / 1e6, UTC) for row in rows()]
        assert [row["s"] for row in rows()] == ["1", "1", "2"]
        assert [row["a"]["note"] for row in rows()] == ["a", "b", "b"]
        assert [abs(a - b) < timedelta(microseconds=2) for a, b in zip(live, read_back, strict=True)] == [True] * 3


def test_a_command_that_a_user_may_not_give_is_refused_by_name(home: HomeAssistant) -> None:
    with HomeAssistantClient(settings(home, home.user_token)) as client:
        assert not client.current_user()["is_admin"]
        with pytest.raises(errors.CommandRefused) as caught:
            client.command("config/auth/list")

    assert caught.value.reason == "unauthorized"
