"""Keeps a home's WebSocket connection up and hands each frame on; waits for no broker and no database."""

from __future__ import annotations

import functools
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from ingestor import errors, metrics
from ingestor.events.frame import Frame
from ingestor.events.redact import redact
from ingestor.homeassistant.backoff import longest_pause_s, pause_s
from ingestor.homeassistant.connection import Connection
from ingestor.intake.gaps.clock import HomeClock
from ingestor.intake.gaps.gap import Gap, GapLog, last_fired_us
from ingestor.intake.websocket.opening import open_unless_stopped
from ingestor.intake.websocket.session import Session
from ingestor.intake.websocket.subscriptions import Subscriptions
from ingestor.settings import HomeAssistantSettings, HomeSettings

_log: Final = structlog.get_logger(__name__)
#: After these the home is read again. It begins with plain text: so it costs 1 us a kB of frames.
_HOME_CHANGED: Final = re.compile(
    rb'"event_type":"(?:[a-z_]+_registry_updated"|core_config_updated"|automation_reloaded"|scene_reloaded"|'
    rb'component_loaded"|user_(?:added|removed|updated)"|homeassistant_started"|'
    rb'call_service","data":\{"domain":"[a-z0-9_]+","service":"reload")'
)
_STOPPING: Final = b'"event_type":"homeassistant_stop"'
#: Home Assistant closes with this code when it stops, and when we read too slowly: then it has just thrown away 4,096.
_CODE_OF_BOTH: Final = 1000
#: Who hears events this late was read from buffers that were full.
_OVERLOADED_US: Final = 1_000_000
#: A gap ends with the first event after it; in a home that says nothing, this long after it can be heard again.
_QUIET_S: Final = 5.0
#: A connection that held this long is no failed attempt: the next pause begins small again.
_HELD_S: Final = 10.0
_HINTS: Final = {
    "restart": "Home Assistant said that it stops",
    "overload": "Home Assistant dropped us for reading too slowly (its log says so): this machine was too busy",
    "cut": "Home Assistant was killed, or the network broke",
}


class Sink(Protocol):
    """Where frames go."""

    def add(self, frame: Frame, on_journaled: Callable[[], None] | None = None) -> None:
        """Take a frame without waiting for long; raise JournalFull at the limit."""
        ...


@dataclass(slots=True)
class _Counts:
    frames: int = 0
    bytes: int = 0
    dropped_frames: int = 0
    dropped_events: int = 0
    connections: int = 0


class WebSocketListener:
    """Listens to one home.

    `on_registry_change` is called for each frame with a change of what the home consists of, `on_up` when the home
    can be heard and when it cannot any more, `on_gap` with each gap that begins or is over, `on_lost` with the number
    of events that were dropped; what they raise is logged and goes no further. `before` is the gap that this run
    begins with: what followed the last event that an earlier run kept.
    """

    def __init__(
        self,
        home: HomeSettings,
        *,
        sink: Sink,
        on_registry_change: Callable[[], None] | None = None,
        on_up: Callable[[bool], None] | None = None,
        on_gap: Callable[[Gap], None] | None = None,
        on_lost: Callable[[int], None] | None = None,
        listener_name: str = "websocket",
        before: Gap | None = None,
        connect: Callable[[HomeAssistantSettings], Connection] = Connection.open,
        chance: random.Random | None = None,
    ) -> None:
        self._home = home
        self._settings = home.homeassistant
        self._sink = sink
        self._on_registry_change = on_registry_change
        self._on_up = on_up
        self._on_gap = on_gap
        self._on_lost = on_lost
        self._name = listener_name
        self._connect = connect
        self._chance = chance
        self._log = _log.bind(home=home.name, listener=listener_name)
        self._subscriptions = Subscriptions(self._settings)
        self._clock = HomeClock()
        self._gaps = GapLog(before.start_us if before else 0)
        self._begin_gap = before
        self._is_marking = False
        self._has_stopped = False
        self._quiet_until: float | None = None
        self._fired_us = 0
        self._ready_us = 0
        self._counts = _Counts()
        of = {"home": home.name, "source": "websocket"}
        self._frames_total = metrics.counter("ingestor_frames_total", **of)
        self._connects_total = metrics.counter("ingestor_connects_total", **of)
        self._disconnects_total = metrics.counter("ingestor_disconnects_total", **of)
        self._lost_total = metrics.counter("ingestor_events_lost_total", **of)
        self._connection: Connection | None = None
        self._up = False
        self._up_since_ns = 0
        self._ready_at: float | None = None
        self._lost_at: float | None = None
        self._last_error = ""

    def run(self, stop: threading.Event) -> None:
        """Listen until `stop` is set, connecting again as often as needed.

        Raises AuthenticationRefused at once (Home Assistant bans addresses that keep trying) and InvalidSettings.
        """
        attempt = 0
        if self._begin_gap is not None:
            # Not in the future: an earlier run may have believed an event that says so.
            start_us = min(self._begin_gap.start_us, time.time_ns() // 1000)
            self._tell_gap(self._gaps.lose_connection(self._begin_gap.reason, start_us))
        while not stop.is_set():
            self._ready_at = None
            try:
                self._listen_once(stop)
            except errors.Fatal as error:
                self._last_error = str(error)
                raise
            except errors.HomeAssistantUnavailable as error:
                attempt = 1 if self._held() else attempt + 1
                pause = self._pause_s(attempt)
                self._note_failure(error, attempt, pause)
                stop.wait(pause)

    def _listen_once(self, stop: threading.Event) -> None:
        connection = open_unless_stopped(lambda: self._connect(self._settings), stop)
        if connection is None:
            return
        self._connection = connection
        self._counts.connections += 1
        self._connects_total.inc()
        try:
            Session(connection, self._settings, self._subscriptions, self).listen(stop)
        except errors.ConnectionLost:
            self._disconnects_total.inc()
            raise
        finally:
            self._connection = None
            self._set_up(up=False)
            connection.close()

    def _held(self) -> bool:
        """Tell whether a good connection was lost just now."""
        now = time.monotonic()
        if self._ready_at is None or now - self._ready_at < _HELD_S:
            return False
        self._lost_at = now
        return True

    def _pause_s(self, attempt: int) -> float:
        lost_for_s = None if self._lost_at is None else time.monotonic() - self._lost_at
        return pause_s(attempt, longest_pause_s(lost_for_s, self._settings.reconnect_max_s), chance=self._chance)

    def _note_failure(self, error: errors.HomeAssistantUnavailable, attempt: int, pause: float) -> None:
        reason = self._reason(error)
        self._last_error = str(error)
        self._quiet_until = None
        self._tell_gap(self._gaps.lose_connection(reason))
        self._log.warning(
            "websocket_lost",
            reason=reason,
            error=str(error),
            hint=_HINTS.get(reason, ""),
            attempt=attempt,
            again_in_s=round(pause, 1),
        )

    def _reason(self, error: errors.HomeAssistantUnavailable) -> str:
        """Name how a connection ended: Home Assistant closes alike when it stops and when we were too slow."""
        if not isinstance(error, errors.ConnectionLost):
            return "unreachable"
        if error.reason in {"closed", "cut"}:
            if self._has_stopped:
                return "restart"
            says_stop = "homeassistant_stop" in self._subscriptions.wanted() or None in self._subscriptions.wanted()
            if self._clock.late_us > _OVERLOADED_US or (error.code == _CODE_OF_BOTH and says_stop):
                return "overload"
        return error.reason

    def ready(self) -> None:
        """Note that from now on nothing is missed."""
        self._up_since_ns = time.time_ns()
        ahead_us = self._connection.clock_ahead_us if self._connection else None
        self._clock.begin(ahead_us)
        self._ready_us = 0 if ahead_us is None else self._clock.at(self._up_since_ns // 1000)
        self._has_stopped = False
        self._ready_at = time.monotonic()
        self._set_up(up=True)
        version = self._connection.ha_version if self._connection else ""
        self._log.info("websocket_up", ha_version=version, event_types=len(self.event_types))
        self._quiet_until = time.monotonic() + _QUIET_S

    def quiet(self) -> None:
        """End a gap by our own clock where no event tells Home Assistant's time."""
        if self._quiet_until is not None and time.monotonic() >= self._quiet_until:
            now_us, gap = self._clock.at(time.time_ns() // 1000), self._gaps.connection
            if gap is None or now_us > gap.start_us:  # else our clock is of no use: the next event tells the time
                self._end_gap(now_us)

    def _end_gap(self, end_us: int) -> None:
        self._quiet_until = None
        self._tell_gap(self._gaps.regain_connection(end_us))

    def take(self, payload: bytes) -> None:
        """Stamp a frame, take its secrets out and hand it on; count it as dropped where the journal is full."""
        received_ns = time.time_ns()
        counts = self._counts
        counts.frames += 1
        counts.bytes += len(payload)
        self._frames_total.inc()
        fired_us = self._look_at(payload, received_ns // 1000)
        marks = not self._is_marking
        try:
            self._sink.add(Frame("websocket", received_ns, redact(payload)), self._mark(fired_us))
        except errors.JournalFull:
            self._is_marking = not marks and self._is_marking
            self._drop(payload, fired_us)
        else:
            if self._gaps.journal is not None:
                self._tell_gap(self._gaps.keep_again(fired_us))
        if _HOME_CHANGED.search(payload) is not None:
            self.home_changed()

    def home_changed(self) -> None:
        """Note that the home must be read again."""
        if self._on_registry_change is not None:
            self._call(self._on_registry_change)

    def _look_at(self, payload: bytes, received_us: int) -> int:
        """Return the time of a frame's last event, by Home Assistant's clock as well as it is known."""
        fired_us = last_fired_us(payload)
        if not fired_us or not self._clock.heard(fired_us, received_us):
            # It may have waited for long, and what was fired meanwhile is not here yet: the last event counts.
            return self._fired_us or self._clock.at(received_us)
        self._fired_us = fired_us
        if self._quiet_until is not None:
            self._end_gap(max(fired_us, self._ready_us))  # an integration may say that it was long ago
        if _STOPPING in payload:
            self._has_stopped = True
        return fired_us

    def _mark(self, fired_us: int) -> Callable[[], None] | None:
        """Return what notes that all up to this event is in the journal; one such note is under way at a time."""
        if self._is_marking:
            return None
        self._is_marking = True
        return functools.partial(self._journaled, fired_us)

    def _journaled(self, fired_us: int) -> None:
        # Called by the journal's thread: batches reach the disk in the order in which they were filled.
        self._gaps.last_kept_us = fired_us
        self._is_marking = False

    def _drop(self, payload: bytes, fired_us: int) -> None:
        events = max(1, payload.count(b'"time_fired"'))
        self._counts.dropped_frames += 1
        self._counts.dropped_events += events
        self._lost_total.inc(events)
        if self._on_lost is not None:
            self._call(self._on_lost, events)
        self._tell_gap(self._gaps.drop(payload, events, fired_us))

    def _set_up(self, *, up: bool) -> None:
        if up == self._up:
            return
        self._up = up
        if self._on_up is not None:
            self._call(self._on_up, up)

    def _tell_gap(self, gap: Gap | None) -> None:
        if gap is not None and self._on_gap is not None:
            self._call(self._on_gap, gap)

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:  # noqa: BLE001 - what others do with the news must not end the listening
            self._log.exception("callback_failed", callback=getattr(callback, "__qualname__", repr(callback)))

    @property
    def heard(self) -> tuple[int, list[Gap]]:
        """What a later run must know: the time of the last event in the journal, and the gaps that are not over."""
        return self._gaps.last_kept_us, self._gaps.running()

    def home_time_us(self, our_us: int) -> int:
        """Return when, by Home Assistant's clock, events were fired that were read at a time of ours."""
        return self._clock.at(our_us) - self._clock.late_us

    @property
    def event_types(self) -> list[str]:
        """The event types that are listened to."""
        return [name or "*" for name in self._subscriptions.wanted()]

    def status(self) -> dict[str, Any]:
        """Return how the listener does; may be called from any thread."""
        counts, connection = self._counts, self._connection
        return {
            "home": self._home.name,
            "listener": self._name,
            "connected": connection is not None,
            "up": self._up,
            "up_since_ns": self._up_since_ns if self._up else 0,
            "ha_version": connection.ha_version if connection else "",
            "coalesced": bool(connection and connection.coalesced),
            "connections": counts.connections,
            "frames": counts.frames,
            "bytes": counts.bytes,
            "dropped_frames": counts.dropped_frames,
            "dropped_events": counts.dropped_events,
            "last_kept_us": self._gaps.last_kept_us,
            "subscribed": self.event_types,
            "refused": dict(self._subscriptions.refused),
            "gaps": self._gaps.status(),
            "last_error": self._last_error,
        }
