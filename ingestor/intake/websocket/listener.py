"""Keeps a home's WebSocket connection up and hands each frame on; waits for no broker and no database."""

from __future__ import annotations

import random
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
from ingestor.intake.websocket.gaps import Gap, GapLog
from ingestor.intake.websocket.opening import open_unless_stopped
from ingestor.intake.websocket.session import Session
from ingestor.intake.websocket.subscriptions import Subscriptions
from ingestor.settings import HomeAssistantSettings, HomeSettings

_log: Final = structlog.get_logger(__name__)
_REGISTRY_CHANGED: Final = b'_registry_updated"'
#: A connection that held this long is no failed attempt: the next pause begins small again.
_HELD_S: Final = 10.0
_HINTS: Final = {
    "closed": "Home Assistant stops, or dropped us for reading too slowly (its log then says so)",
    "cut": "Home Assistant stopped, the network broke, or it dropped us for reading too slowly (its log then says so)",
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

    `on_registry_change` is called for each frame with a change of a registry, `on_up` when the home can be heard and
    when it cannot any more, `on_gap` with each gap that is over; what they raise is logged and goes no further.
    `last_kept_ns` is the receipt of the last frame that an earlier run kept: what follows it is a gap.
    """

    def __init__(
        self,
        home: HomeSettings,
        *,
        sink: Sink,
        on_registry_change: Callable[[], None] | None = None,
        on_up: Callable[[bool], None] | None = None,
        on_gap: Callable[[Gap], None] | None = None,
        listener_name: str = "websocket",
        last_kept_ns: int = 0,
        connect: Callable[[HomeAssistantSettings], Connection] = Connection.open,
        chance: random.Random | None = None,
    ) -> None:
        self._home = home
        self._settings = home.homeassistant
        self._sink = sink
        self._on_registry_change = on_registry_change
        self._on_up = on_up
        self._on_gap = on_gap
        self._name = listener_name
        self._connect = connect
        self._chance = chance
        self._log = _log.bind(home=home.name, listener=listener_name)
        self._subscriptions = Subscriptions(self._settings)
        self._gaps = GapLog(last_kept_ns)
        self._gaps.lose_connection("not_running")
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
        reason = error.reason if isinstance(error, errors.ConnectionLost) else "unreachable"
        self._last_error = str(error)
        self._gaps.lose_connection(reason)
        self._log.warning(
            "websocket_lost",
            reason=reason,
            error=str(error),
            hint=_HINTS.get(reason, ""),
            attempt=attempt,
            again_in_s=round(pause, 1),
        )

    def ready(self) -> None:
        """Note that from now on nothing is missed."""
        now_ns = time.time_ns()
        self._up_since_ns = now_ns
        self._ready_at = time.monotonic()
        self._set_up(up=True)
        version = self._connection.ha_version if self._connection else ""
        self._log.info("websocket_up", ha_version=version, event_types=len(self._subscriptions.wanted()))
        self._tell_gap(self._gaps.regain_connection(now_ns))

    def take(self, payload: bytes) -> None:
        """Stamp a frame, take its secrets out and hand it on; count it as dropped where the journal is full."""
        received_ns = time.time_ns()
        counts = self._counts
        counts.frames += 1
        counts.bytes += len(payload)
        self._frames_total.inc()
        try:
            self._sink.add(Frame("websocket", received_ns, redact(payload)))
        except errors.JournalFull:
            self._drop(payload, received_ns)
        else:
            self._gaps.last_kept_ns = received_ns
            if self._gaps.journal is not None:
                self._tell_gap(self._gaps.keep_again(received_ns))
        if _REGISTRY_CHANGED in payload and self._on_registry_change is not None:
            self._call(self._on_registry_change)

    def _drop(self, payload: bytes, received_ns: int) -> None:
        events = max(1, payload.count(b'"time_fired"'))
        self._counts.dropped_frames += 1
        self._counts.dropped_events += events
        self._lost_total.inc(events)
        self._gaps.drop(received_ns, events)

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
            "last_kept_ns": self._gaps.last_kept_ns,
            "subscribed": [name or "*" for name in self._subscriptions.wanted()],
            "refused": dict(self._subscriptions.refused),
            "gaps": self._gaps.status(),
            "last_error": self._last_error,
        }
