"""MQTT out as it runs in a process: of several one is connected, publishes messages, and tells figures to sensors."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import structlog

from ingestor import errors
from ingestor.intake.leadership import Leadership
from ingestor.live.hub import LiveHub
from ingestor.live.places import ReaderPlaces
from ingestor.mqtt_out.announcing import Announcer
from ingestor.mqtt_out.line import MOST_UNDER_WAY, Line
from ingestor.mqtt_out.publisher import Publisher
from ingestor.mqtt_out.refused import Refusals
from ingestor.mqtt_out.sensors import Figures, configs, sensors_topic, status_topic
from ingestor.settings_mqtt_out import MqttOutSettings

T = TypeVar("T")
ReadFigures = Callable[[], Mapping[str, Figures]]
READER: Final = "mqtt-out"
LEASE_S: Final = 12.0
_LOOK_S: Final = 3.0
_AFTER_FAILURE_S: Final = 5.0
_log: Final = structlog.get_logger(__name__)


class MqttOut:
    """MQTT out of this process. `figures` reads the figures of all homes, `tell` puts a status up; both block."""

    def __init__(
        self,
        settings: MqttOutSettings,
        hub: LiveHub,
        *,
        places: Callable[[], ReaderPlaces],
        leadership: Leadership,
        figures: ReadFigures,
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        self._settings = settings
        self._hub = hub
        self._open_places = places
        self._places: ReaderPlaces | None = None
        self._leadership = leadership
        self._figures = figures
        self._tell = tell
        self._threads = ThreadPoolExecutor(2, "mqtt-out")
        self._sensors_due = asyncio.Event()
        self._changed = asyncio.Event()
        self._line: Line | None = None
        self._publisher: Publisher | None = None
        self._work: list[asyncio.Task[None]] = []
        self._watcher: asyncio.Task[None] | None = None
        self._sensors_told = 0
        self._refusals = Refusals()
        self._announcer = Announcer(self._refusals)

    def start(self) -> None:
        """Begin; for the loop that is running now."""
        self._watcher = asyncio.create_task(self._watch(), name="mqtt-out")

    async def close(self) -> None:
        """End: say that we go, and keep how far we came."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await self._end()
        await self._threaded(self._leadership.stop)
        self._threads.shutdown(wait=False)

    # -- the cursor, for the publisher -------------------------------------------------------------------

    async def find(self) -> str:
        """Return the cursor that is kept. Raises StoreUnavailable."""
        return await self._threaded(lambda: self._kept().find(READER))

    async def keep(self, cursor: str) -> None:
        """Keep a cursor. Raises StoreUnavailable."""
        await self._threaded(lambda: self._kept().keep(READER, cursor))

    def _kept(self) -> ReaderPlaces:
        if self._places is None:
            self._places = self._open_places()
        return self._places

    # -- the life of it ----------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            await self._patiently(self._step)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _LOOK_S)

    async def _step(self) -> None:
        await self._threaded(self._leadership.step)
        leads = self._leadership.leading.is_set()
        if leads and self._line is None:
            self._begin()
        elif not leads and self._line is not None:
            await self._end()
        if self._line is not None:
            status = self.status()
            await self._threaded(lambda: self._tell(status))

    def _begin(self) -> None:
        line = self._line = Line(self._settings, self._note_up, self._note_confirmed)
        line.on_birth = self._announce

        def publish(topic: str, payload: bytes) -> int:
            return line.publish(topic, payload, qos=self._settings.qos, retain=self._settings.retain)

        if self._settings.topic:
            self._publisher = Publisher(
                self._settings, self._hub, self, publish, most=MOST_UNDER_WAY, refusals=self._refusals
            )
            self._work.append(asyncio.create_task(self._publisher.run(), name="mqtt-out-messages"))
        self._work.append(asyncio.create_task(self._tell_figures(), name="mqtt-out-sensors"))
        line.start()

    async def _end(self) -> None:
        line, self._line = self._line, None
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        self._work, self._publisher = [], None
        if line is not None:
            await self._threaded(line.end)

    def _note_up(self, up: bool) -> None:
        self._changed.set()
        if up:
            if self._publisher is not None:
                self._publisher.note_up()
            self._announce()
            return
        oldest = 0 if self._line is None else self._line.oldest
        self._announcer.note_down(oldest)
        if self._publisher is not None:
            self._publisher.note_down(oldest)

    def _note_confirmed(self, message_id: int, refused: str) -> None:
        if self._publisher is None or not self._publisher.note_confirmed(message_id, refused):
            self._announcer.note_confirmed(message_id, refused)

    # -- sensors -----------------------------------------------------------------------------------------

    def _announce(self) -> None:
        """Publish what our sensors are, and have their figures told at once."""
        line = self._line
        if line is None:
            return
        with contextlib.suppress(errors.Transient):  # it is announced when the connection is back
            for home in self._hub.homes:
                self._announcer.announce(
                    configs(self._settings, home),
                    lambda topic, config: line.publish(topic, config, qos=1, retain=True),
                )
        self._sensors_due.set()

    async def _tell_figures(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._sensors_due.wait(), self._settings.sensors_every_s)
            self._sensors_due.clear()
            await self._patiently(self._tell_once)

    async def _tell_once(self) -> None:
        if self._line is None or not self._line.is_up:
            return
        found = await self._threaded(self._figures)
        for home in self._hub.homes:
            body = found.get(home, Figures()).body()
            self._line.publish(sensors_topic(self._settings, home), body, qos=0, retain=False)
            self._sensors_told += 1

    # -- how it does -------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Return how it does: what is published where, and how often."""
        settings, line = self._settings, self._line
        counts = dict(self._publisher.counts) if self._publisher is not None else {}
        gaps = counts.pop("gap", 0)
        topics: list[dict[str, Any]] = [{"topic": status_topic(settings), "kind": "status", "count": None}]
        topics += [{"topic": f"{settings.base}/{{home}}/sensors", "kind": "sensors", "count": self._sensors_told}]
        topics += [{"topic": f"{settings.base}/{{home}}/gap", "kind": "gap", "count": gaps}]
        if settings.topic:
            topics += [{"topic": settings.topic, "kind": "messages", "count": sum(counts.values())}]
        if settings.discovery:
            topics += [{"topic": topic, "kind": "discovery", "count": None} for topic in self._config_topics()]
        return {
            "connected": line is not None and line.is_up,
            "last_error": "" if line is None else line.last_error,
            "by_event": counts,
            "topics": topics,
            **self._refusals.told(),
        }

    def _config_topics(self) -> list[str]:
        return [topic for home in self._hub.homes for topic in configs(self._settings, home)]

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except errors.IngestorError as error:
            _log.warning("mqtt_out_waits", error=str(error), kind=type(error).__name__)
        except Exception:  # noqa: BLE001 -- it runs beside all that this process serves, and must go on
            _log.exception("mqtt_out_failed")
            await asyncio.sleep(_AFTER_FAILURE_S)

    async def _threaded(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
