"""One connection's life: subscribe, hear, keep alive; reads frames and tells answers from events, no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

import orjson

from ingestor import errors
from ingestor.homeassistant.connection import Connection
from ingestor.intake.websocket.subscriptions import Subscriptions
from ingestor.settings import HomeAssistantSettings

#: How often the loop looks at the clock and at `stop` when nothing comes.
_TICK_S: Final = 0.5
#: Shorter than an event can be, longer than a pong.
_SHORT_BYTES: Final = 128
#: How a message of `config_entries/subscribe` begins: an event of the bus is an object.
_ENTRIES: Final = b'"event":[{"type":'


class Audience(Protocol):
    """Who is told what a session hears."""

    def take(self, payload: bytes) -> None:
        """Take a frame that holds events."""
        ...

    def ready(self) -> None:
        """Every subscription was answered: from now on nothing is missed."""
        ...

    def quiet(self) -> None:
        """Nothing came for a moment."""
        ...

    def home_changed(self) -> None:
        """An integration was set up, has failed, or was removed."""
        ...


class Session:
    """Hears one connection until it ends or `stop` is set."""

    def __init__(
        self,
        connection: Connection,
        settings: HomeAssistantSettings,
        subscriptions: Subscriptions,
        audience: Audience,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._subscriptions = subscriptions
        self._audience = audience
        self._clock = clock
        self._asked: dict[int, str | None] = {}
        self._ping: int | None = None
        self._entries: int | None = None
        self._pinged_at = self._heard_at = clock()
        self._standing = 0
        self._is_ready = False

    def listen(self, stop: threading.Event) -> None:
        """Hear frames until `stop` is set. Raises ConnectionLost when the connection ends."""
        tick_s = min(_TICK_S, self._settings.ping_every_s / 4, self._settings.dead_after_s / 4)
        self._connection.wait_at_most(tick_s)
        self._subscribe(self._subscriptions.wanted())
        recv, take, clock = self._connection.recv, self._audience.take, self._clock
        while not stop.is_set():
            try:
                payload = recv()
            except TimeoutError:
                now = clock()
                self._audience.quiet()
            else:
                now = self._heard_at = clock()
                if not self._may_be_answer(payload) or self._settle(payload):
                    take(payload)
            self._keep_alive(now)

    def _subscribe(self, names: list[str | None]) -> None:
        # Noted before the answer is there: events may overtake it.
        for name in names:
            fields = {} if name is None else {"event_type": name}
            self._asked[self._connection.send_command("subscribe_events", **fields)] = name

    def _may_be_answer(self, payload: bytes) -> bool:
        """Tell whether to look closer: an answer is due, or the frame is as short as a late one."""
        return bool(self._asked) or self._ping is not None or len(payload) < _SHORT_BYTES or _ENTRIES in payload

    def _settle(self, payload: bytes) -> bool:
        """Deal with the answers in a frame; tell whether it also holds something to keep."""
        if b'"result"' not in payload and b'"pong"' not in payload and _ENTRIES not in payload:
            return True
        try:
            decoded = orjson.loads(payload)
        except ValueError:
            return True  # to quarantine, by way of `validate`
        keep = False
        for message in decoded if isinstance(decoded, list) else [decoded]:
            kind = message.get("type") if isinstance(message, dict) else None
            if kind == "pong" and message.get("id") == self._ping:
                self._ping = None
            elif kind == "result" and message.get("id") in self._asked:
                self._answered(self._asked.pop(message["id"]), message)
            elif kind == "event" and self._entries is not None and message.get("id") == self._entries:
                self._audience.home_changed()
            else:
                keep = keep or kind not in {"pong", "result"}
        return keep

    def _answered(self, name: str | None, answer: dict[str, object]) -> None:
        if answer.get("success"):
            self._standing += 1
        else:
            error = answer.get("error")
            instead = self._subscriptions.refuse(name, error if isinstance(error, dict) else {})
            self._subscribe([*instead])
        if not self._asked and not self._is_ready:
            self._all_answered()

    def _all_answered(self) -> None:
        if self._standing == 0:
            self._subscriptions.forget_refusals()
            raise errors.ConnectionLost("refused", "Home Assistant refused every subscription")
        self._is_ready = True
        self._subscriptions.report()
        # Where this is refused, the states of integrations come with the next sync.
        self._entries = self._connection.send_command("config_entries/subscribe")
        self._audience.ready()

    def _keep_alive(self, now: float) -> None:
        """Send a ping when it is time; give up on a peer from which nothing came since a ping, answer or event."""
        if self._ping is not None:
            if now - max(self._pinged_at, self._heard_at) > self._settings.dead_after_s:
                raise errors.ConnectionLost("silent", f"no sign of life for {self._settings.dead_after_s:g} s")
        elif now - self._pinged_at >= self._settings.ping_every_s:
            self._ping = self._connection.send_command("ping")
            self._pinged_at = now
