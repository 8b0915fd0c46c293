"""Publishes what the live channel tells, and keeps how far the broker has confirmed it: a restart goes on there."""

from __future__ import annotations

import asyncio
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
    """Publishes while there is a connection; `publish` gives a message to the broker, and raises NobodyListens."""

    def __init__(self, settings: MqttOutSettings, hub: LiveHub, place: Place, window: Window, publish: Publish) -> None:
        self._settings = settings
        self._hub = hub
        self._place = place
        self._window = window
        self._publish = publish
        self._template = TopicTemplate(settings.topic or "")
        self._up = asyncio.Event()
        self._cursor = ""
        self._kept = ("", 0.0)
        self._busy = False
        #: How often the connection has ended: who began before that ends.
        self._breaks = 0
        #: Messages that were published, by their name; and gaps.
        self.counts: Counter[str] = Counter()

    def note_up(self, up: bool) -> None:
        """Note that there is a connection, or none: what is not confirmed is published again then."""
        if up:
            self._up.set()
        else:
            self._breaks += 1
            self._up.clear()
            self._window.forget()

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await self._up.wait()
            await self._patiently(self._listen)
            await asyncio.sleep(0 if self._up.is_set() else _TICK_S)

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except errors.IngestorError as error:
            _log.warning("mqtt_out_waits", error=str(error), kind=type(error).__name__)
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
                    if isinstance(item, Ended) or self._breaks != breaks:
                        return
                    await self._take(item, hearing)
                    await self._keep()
            finally:
                await self._keep(hurry=True)

    async def _take(self, item: Item | None, hearing: Hearing) -> None:
        match item:
            case Delivery():
                await self._send(item)
            case Gap():
                self._tell_gap(item)
            case None if not self._window.waiting:
                self._window.cursor = self._cursor = hearing.heard_all()

    async def _send(self, delivery: Delivery) -> None:
        """Publish what a filter takes of an entry; waits where the broker is slow."""
        messages, form, breaks = delivery.messages, self._settings.form, self._breaks
        self._window.open(delivery.cursor)
        for index in delivery.chosen:
            if not self._settings.late and messages.is_late(index):
                continue
            await self._window.room()
            if self._breaks != breaks:
                return
            subject = messages.subjects[index]
            topic = self._template.topic(messages.home, subject)
            self._window.sent(self._publish(topic, messages.render(index, form)))
            self.counts[subject.name] += 1
            self._busy = True
        self._window.close()
        self._cursor = delivery.cursor

    def _tell_gap(self, gap: Gap) -> None:
        now_us = time.time_ns() // 1000
        data = gap_data(gap, self._cursor, now_us)
        told = {"type": "gap", "home": gap.home, "time": time_text(now_us), "data": data}
        self._window.open(gap.cursor)
        self._window.sent(self._publish(f"{self._settings.base}/{gap.home}/gap", orjson.dumps(told)))
        self._window.close()
        self.counts["gap"] += 1
        self._cursor = gap.cursor

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
