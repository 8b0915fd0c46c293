"""Publishes what the live channel tells, and keeps how far the broker has confirmed it: a restart goes on there."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import orjson
import structlog

from ingestor import errors
from ingestor.live.cursor import parse_cursor
from ingestor.live.filter import LiveFilter
from ingestor.live.gaps_told import gap_data, time_text
from ingestor.live.hub import Hearing, LiveHub
from ingestor.live.listener import Delivery, Ended, Gap, Item
from ingestor.mqtt_out.refused import ENDED, Refusals
from ingestor.mqtt_out.suspects import Sent, Suspects
from ingestor.mqtt_out.topics import TopicTemplate
from ingestor.mqtt_out.window import Window
from ingestor.settings_mqtt_out import MqttOutFilter, MqttOutSettings

_TICK_S: Final = 1.0
_MOVE_ON_S: Final = 30.0
_AGAIN_S: Final = 2.0
_log: Final = structlog.get_logger(__name__)


class Place(Protocol):
    """Where the publisher is, over restarts."""

    async def find(self) -> str:
        """Return the cursor that is kept. Raises StoreUnavailable."""
        ...

    async def keep(self, cursor: str) -> None:
        """Keep a cursor. Raises StoreUnavailable."""
        ...


Publish = Callable[[str, bytes], int]


class Publisher:
    """Publishes while there is a connection; `publish` gives a message to the broker.

    It raises NobodyListens, and Rejected for what the broker does not take. What is refused is passed over and told.
    """

    def __init__(
        self,
        settings: MqttOutSettings,
        hub: LiveHub,
        place: Place,
        publish: Publish,
        *,
        most: int,
        refusals: Refusals,
    ) -> None:
        self._settings = settings
        self._hub = hub
        self._place = place
        self._publish = publish
        self._window = Window(most)
        self._suspects = Suspects(settings.inflight)
        self._refusals = refusals
        self._template = TopicTemplate(settings.topic or "")
        self._up = asyncio.Event()
        self._cursor = ""
        self._kept = ("", 0.0)
        self._busy = False
        #: How often the connection has ended: who began before that ends.
        self._breaks = 0
        #: Messages that were published, by their name; and gaps.
        self.counts: Counter[str] = Counter()

    def note_up(self) -> None:
        """Note that there is a connection."""
        self._up.set()

    def note_down(self, oldest: int) -> None:
        """Note that there is none: what is not confirmed is published again. `oldest`: id of the first of all such."""
        self._breaks += 1
        self._up.clear()
        # Where something else went first, nothing is known of messages.
        self._suspects.ended(self._window.under_way if self._window.oldest == oldest else ())
        self._window.forget()

    def note_confirmed(self, message_id: int, refused: str) -> bool:
        """Note that the broker has a message, or why it refuses it; False for one that is none of ours."""
        sent = self._window.confirmed(message_id)
        if sent is None:
            return False
        self._suspects.over(sent.key)
        if refused:
            self.counts[sent.name] -= 1
            self._refusals.note(sent, refused)
        return True

    async def run(self) -> None:
        """Publish until the hub ends."""
        while not self._hub.is_over:
            await self._up.wait()
            await self._patiently(self._listen)
            await asyncio.sleep(0 if self._up.is_set() else _TICK_S)

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except errors.IngestorError as error:
            _log.warning("mqtt_out_waits", error=str(error), kind=type(error).__name__)
            await asyncio.sleep(_AGAIN_S)
        except Exception:  # noqa: BLE001 -- else nothing would be published until a restart
            _log.exception("mqtt_out_failed")
            await asyncio.sleep(_AGAIN_S)

    async def _listen(self) -> None:
        """Publish what comes, until the connection breaks or the hub ends it. Raises Transient."""
        breaks = self._breaks
        kept = await self._place.find()
        after = parse_cursor(kept) if kept else None
        async with self._hub.listen(_wanted(self._settings.filter), after=after, policy="disconnect") as hearing:
            self._window.forget()
            self._cursor = self._window.cursor = kept or hearing.cursor
            await self._keep(hurry=not kept)
            try:
                async for item in hearing.items(lambda: _TICK_S):
                    if isinstance(item, Ended):
                        await self._settle()
                        return
                    if self._breaks != breaks:
                        return
                    await self._take(item, hearing)
                    await self._keep()
            finally:
                await self._keep(hurry=True)

    async def _settle(self) -> None:
        """Wait a moment for the broker to confirm what is on its way: else all of it would be published again."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._window.room(alone=True), _TICK_S)

    async def _take(self, item: Item | None, hearing: Hearing) -> None:
        match item:
            case Delivery():
                await self._send(item)
            case Gap():
                await self._tell_gap(item)
            case None if not self._window.waiting:
                self._window.cursor = self._cursor = hearing.heard_all()

    async def _send(self, delivery: Delivery) -> None:
        """Publish what a filter takes of an entry; waits where the broker is slow."""
        messages, form, breaks = delivery.messages, self._settings.form, self._breaks
        self._window.open(delivery.cursor)
        for place, index in enumerate(delivery.chosen):
            if not self._settings.late and messages.is_late(index):
                continue
            key = f"{messages.home}:{delivery.entry_id}.{index}"
            if self._refusals.knows(key):
                continue
            alone = self._suspects.goes_alone(key)
            await self._window.room(alone=alone)
            if self._breaks != breaks:
                return
            subject = messages.subjects[index]
            topic = self._template.topic(messages.home, subject)
            self._give(key, subject.name, topic, messages.render(index, form))
            if alone:
                self._window.split(delivery.cursor_at(place))
        self._window.close()
        self._cursor = delivery.cursor

    async def _tell_gap(self, gap: Gap) -> None:
        now_us, breaks = time.time_ns() // 1000, self._breaks
        told = {"type": "gap", "home": gap.home, "time": time_text(now_us), "data": gap_data(gap, self._cursor, now_us)}
        key = f"gap:{gap.cursor}"
        self._suspects.forget_before(key)
        await self._window.room(alone=self._suspects.goes_alone(key))
        if self._breaks != breaks:
            return
        self._window.open(gap.cursor)
        self._give(key, "gap", f"{self._settings.base}/{gap.home}/gap", orjson.dumps(told))
        self._window.close()
        self._cursor = gap.cursor

    def _give(self, key: str, name: str, topic: str, payload: bytes) -> None:
        """Give a message to the broker, or pass it over. Raises NobodyListens."""
        sent = Sent(key, name, topic, len(payload))
        self._busy = True
        if self._suspects.is_guilty(key):
            self._pass_over(sent, ENDED)
            return
        try:
            self._window.sent(self._publish(topic, payload), sent)
        except errors.Rejected as error:
            self._pass_over(sent, error.detail)
        else:
            self.counts[name] += 1

    def _pass_over(self, sent: Sent, why: str) -> None:
        self._suspects.over(sent.key)
        self._refusals.note(sent, why)

    async def _keep(self, *, hurry: bool = False) -> None:
        """Keep how far the broker has confirmed: once a second where there is much, seldom where there is nothing."""
        cursor, (kept, kept_s) = self._window.cursor, self._kept
        pause_s = _TICK_S if self._busy else _MOVE_ON_S
        if cursor == kept or not (hurry or time.monotonic() - kept_s >= pause_s):
            return
        await self._place.keep(cursor)
        self._kept, self._busy = (cursor, time.monotonic()), self._window.waiting > 0


def _wanted(asked: MqttOutFilter) -> LiveFilter:
    return LiveFilter(
        entities=asked.entity,
        domains=asked.domain,
        areas=asked.area,
        devices=asked.device,
        types=asked.type,
        homes=asked.home,
    )
