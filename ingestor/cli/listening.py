"""Puts a listener process together: journal, sender, listener, heartbeat; decides nothing about events."""
# ruff: noqa: PLC0415 -- a WebSocket listener does not load MQTT, nor the other way round: it stays below 80 MB

from __future__ import annotations

import contextlib
import dataclasses
import functools
import signal
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import structlog

from ingestor import bootstrap, errors, logs, metrics
from ingestor.cli.memory import MemoryTrim
from ingestor.cli.standing_by import Listener, Standby, require_own_name
from ingestor.cli.tally import BatchTally, Tally
from ingestor.home.mqtt_entities import MqttEntities
from ingestor.home.requests import request_sync
from ingestor.intake.assemble import Intake, open_intake
from ingestor.queue.about import about_self
from ingestor.queue.alive import AliveFile
from ingestor.queue.heartbeat import Heartbeat
from ingestor.queue.pools import host_of
from ingestor.queue.presence import Presence
from ingestor.queue.status_board import StatusBoard
from ingestor.queue.vitals import VitalsFile
from ingestor.settings import HomeSettings, Settings

if TYPE_CHECKING:
    import redis

    from ingestor.intake.gaps import GapKeeper

_log: Final = structlog.get_logger(__name__)


class HomeLine:
    """What a listener tells the others about its home, and hears from them.

    Listeners call it from their read loop: so it only notes, and the heartbeat's thread talks to the state server.
    """

    def __init__(self, state: redis.Redis[bytes], home: str, *, speaks: bool) -> None:
        self.state = state
        self._home = home
        self._presence = Presence(state, home)
        self.mqtt_entities = MqttEntities(state, home)
        self._hears_websocket = speaks
        #: Whether this process is the one that tells whether the home's WebSocket is up.
        self.speaks = speaks
        self._up = False
        self._sync_wanted = False
        self._trim = MemoryTrim()
        self.hurry: Callable[[], None] = lambda: None
        self.keep_gaps: Callable[[], None] = lambda: None
        self.gaps_waiting: Callable[[], int] = lambda: 0
        self.tell_topics: Callable[[], None] = lambda: None

    def note_up(self, up: bool) -> None:
        """Note that the home can be heard, or cannot. Whatever changed while it was not heard: its map is read anew."""
        self._up = up
        self._sync_wanted = self._sync_wanted or up
        self.hurry()

    def note_registry_change(self) -> None:
        """Note that the map of the home must be read again."""
        self._sync_wanted = True
        self.hurry()

    def websocket_up(self) -> bool:
        """Return whether the home's WebSocket is up, as of the last heartbeat that reached the state server."""
        return self._up

    def exchange(self) -> None:
        """Tell what was noted, and hear what the others told. Errors wait for the next time."""
        self._trim()
        with contextlib.suppress(errors.IngestorError):
            if self.speaks:
                self._presence.tell(up=self._up)
            elif not self._hears_websocket:
                self._up = self._presence.is_up()
                self.mqtt_entities.refresh()
            if self._sync_wanted:
                request_sync(self.state, self._home)
                self._sync_wanted = False
            self.tell_topics()
        self.keep_gaps()


def run(settings: Settings, home: HomeSettings, kind: str, name: str) -> None:
    """Listen until SIGTERM or SIGINT. Raises AuthenticationRefused, InvalidSettings."""
    logs.set_up(settings.log)
    _require_address(home, kind)
    metrics.start(settings.data_dir / "metrics")
    stop = stop_on_signal()
    state = bootstrap.open_state(settings)
    line = HomeLine(state, home.name, speaks=kind == "websocket")
    board, host = StatusBoard(state), host_of(settings)
    require_own_name(board, home.name, name, host, stop)
    tally = Tally()
    with open_intake(settings, home.name, name, kind, on_done=tally.add) as intake:
        if kind == "websocket" and home.homeassistant.standby:
            listener: Listener = _standby(settings, home, name, intake, line)
        elif kind == "websocket":
            listener = _websocket_listener(settings, home, name, intake, line)
        else:
            listener = _mqtt_listener(settings, home, name, intake, line)
        who = {"home": home.name, "kind": kind, "host": host}
        batches = BatchTally(home.name, name)
        heartbeat = Heartbeat(
            board,
            "listener",
            f"{home.name}:{name}",
            lambda: {
                **listener.status(),
                **about_self(),
                **who,
                # A book's counts outlive us; where there is no journal there is no book either.
                "intake": {**tally.read(), **batches.count(intake.status())},
                "gaps_waiting": line.gaps_waiting(),
            },
            also=line.exchange,
            alive=AliveFile(settings.data_dir),
            vitals=VitalsFile(settings.data_dir),
        )
        try:
            with heartbeat:
                line.hurry = heartbeat.hurry
                _log.info("listener_started", home=home.name, listener=name, kind=kind)
                listener.run(stop)
        except errors.Fatal as error:
            # Nobody starts it again by itself: whoever asks for the status later must still find out why.
            entry = {**about_self(), **who, "connected": False, "gave_up": True, "last_error": str(error)}
            board.put("listener", f"{home.name}:{name}", entry, last=True)
            raise
    line.keep_gaps()  # now all that was heard is in the journal
    _log.info("listener_stopped", home=home.name, listener=name)


def _require_address(home: HomeSettings, kind: str) -> None:
    group = "homeassistant" if kind == "websocket" else "mqtt"
    wanted = {f"{group}.url": getattr(home, group).url}
    if kind == "websocket":
        wanted["homeassistant.token"] = home.homeassistant.token
    missing = [key for key, value in wanted.items() if value is None]
    if missing:
        variables = ", ".join(f"HA_INGESTOR_{key.upper().replace('.', '__')}" for key in missing)
        raise errors.InvalidSettings(f"home {home.name!r} has no {' and no '.join(missing)}; set {variables}")


def _standby(settings: Settings, home: HomeSettings, name: str, intake: Intake, line: HomeLine) -> Standby:
    """Return what listens in turn with other listeners of the home; each begins where the last one has ended."""
    from ingestor.intake.leadership import Leadership

    def turn(leads: bool) -> None:
        line.speaks = leads

    line.speaks = False
    leadership = Leadership(bootstrap.open_state(settings), f"{home.name}:websocket")
    return Standby(leadership, lambda: _websocket_listener(settings, home, name, intake, line), turn)


def _keeper(
    settings: Settings,
    home: HomeSettings,
    name: str,
    line: HomeLine,
    event_types: Callable[[], list[str]],
    *,
    in_turn: bool = False,
) -> GapKeeper:
    from ingestor.intake.gaps import GapKeeper, GapMemory
    from ingestor.queue.app import make_app
    from ingestor.queue.producer import Producer

    memory = GapMemory(settings.data_dir / "journal" / f"{home.name}-{name}")
    tasks = functools.cache(lambda: Producer(make_app(settings.broker_url)))
    keeper = GapKeeper(
        home.name,
        name,
        memory,
        tasks=tasks,
        state=line.state,
        event_types=event_types,
        heard_by="websocket-leader" if in_turn else None,
    )
    line.gaps_waiting = lambda: keeper.waiting
    return keeper


def _websocket_listener(settings: Settings, home: HomeSettings, name: str, intake: Intake, line: HomeLine) -> Listener:
    from ingestor.intake.websocket import WebSocketListener

    standby = home.homeassistant.standby
    keeper = _keeper(settings, home, name, line, lambda: listener.event_types, in_turn=standby)

    def keep() -> None:
        last_us, running = listener.heard
        status = intake.status()
        keeper.note_damage(_damage(status), listener.home_time_us(time.time_ns() // 1000))
        oldest_us = listener.home_time_us(status["oldest_ns"] // 1000)
        # Who does not lead any more knows nothing of how far was heard.
        keeper.beat(last_us, running, _written_until_us(status, oldest_us, last_us) if line.speaks else 0)

    listener = WebSocketListener(
        home,
        sink=intake.sink,
        on_registry_change=line.note_registry_change,
        on_up=line.note_up,
        on_gap=keeper.note,
        on_lost=intake.sink.note_lost,
        before=keeper.before(),
        listener_name=name,
    )
    line.keep_gaps = keep
    return listener


def _written_until_us(status: dict[str, Any], oldest_us: int, last_us: int) -> int:
    """Return up to when all that is in the journal is written; 0 where nobody knows."""
    if not status["pending_batches"]:
        return last_us
    if not status["oldest_ns"]:
        return 0  # none was given out yet: they wait on the disk
    return min(last_us, oldest_us)


def _damage(status: dict[str, Any]) -> int:
    return int(status["damaged_batches"]) + int(status["damaged_bytes"]) + int(status["lost_frames"])


def _mqtt_listener(settings: Settings, home: HomeSettings, name: str, intake: Intake, line: HomeLine) -> Listener:
    """Make a listener whose gaps are those of its journal alone: while it is away, its broker keeps what is said."""
    from ingestor.intake.mqtt.listener import MqttListener
    from ingestor.queue.topics_board import TopicsBoard, TopicsTeller
    from ingestor.settings_mqtt_out import own_topics

    keeper = _keeper(settings, home, name, line, list)
    before = keeper.before()
    if before is not None and before.reason == "journal_lost":
        keeper.note(dataclasses.replace(before, end_us=time.time_ns() // 1000))

    def keep() -> None:
        now_us, status = time.time_ns() // 1000, intake.status()
        keeper.note_damage(_damage(status), now_us)
        keeper.beat(now_us, [], _written_until_us(status, status["oldest_ns"] // 1000, now_us))

    line.keep_gaps = keep
    listener = MqttListener(
        home,
        sink=intake.sink,
        known_deliveries=intake.known_deliveries(),
        websocket_up=line.websocket_up,
        entity_of=line.mqtt_entities.find,
        own_topics=own_topics(settings.mqtt_out),
        listener_name=name,
    )
    line.tell_topics = TopicsTeller(TopicsBoard(line.state), f"{home.name}:{name}", listener.topics)
    return listener


def stop_on_signal() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
