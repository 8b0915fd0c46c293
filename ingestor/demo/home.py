"""The demo home as a whole: its states, registries, history and life; opens no port."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ingestor.demo.building import Blueprint, Builder
from ingestor.demo.bus import Bus, Listener
from ingestor.demo.clock import Clock, ManualClock, SystemClock
from ingestor.demo.engine import Engine
from ingestor.demo.faults import Faults
from ingestor.demo.life import Life
from ingestor.demo.planting import IN_MINUTES, MINUTE_S, FaultName, Planter, Span
from ingestor.demo.recorder import HistorySource, Recorder
from ingestor.demo.registry import Registry
from ingestor.demo.routines import Routines
from ingestor.demo.services import Services
from ingestor.demo.statistics import Statistics
from ingestor.demo.traces import Traces
from ingestor.demo.wire import Context, Event
from ingestor.demo.world import LATITUDE, LONGITUDE, TIME_ZONE, World

NEWEST: Final = "2026.2.3"


class DemoHome:
    """A home of so many entities. The same seed, start and advances give the same events.

    It is not safe to use from several threads; the server's control hands calls over to its own thread.
    """

    def __init__(
        self,
        seed: int = 1,
        entities: int = 300,
        *,
        rate: float = 5.0,
        clock: Clock | None = None,
        ha_version: str = NEWEST,
        sensors_only: bool = False,
        faults: Sequence[FaultName] = (),
        commit_every_s: float = 5.0,
    ) -> None:
        self.ha_version = ha_version
        self.clock = clock or SystemClock()
        self.bus = Bus(self.clock, seed, ha_version)
        self.modern = self.bus.modern
        self.registry = Registry(self.bus)
        self.recorder: HistorySource = Recorder(self.bus, commit_every_s=commit_every_s)
        self.statistics = Statistics(self.bus)
        #: The states as JSON; load replaces it by one that knows what it sent.
        self.states_json: Callable[[], list[bytes]] = self._states_json
        builder = Builder(self.registry, self.bus, seed, entities)
        self._built: Blueprint = builder.build_for_load() if sensors_only else builder.build()
        self.services = Services(self.bus, self._built.things)
        self._engine = Engine(self.bus, self.services, self._built.routines)
        self._life = Life(self.bus, self._built, World(seed), self.services, self._engine, rate=rate, seed=seed)
        self._life.faults = self._planted(seed, faults)
        self.bus.listen(self._follow_rename)
        self._begun = False

    @property
    def routines(self) -> Routines:
        """Automations, scripts and scenes."""
        return self._built.routines

    @property
    def faults(self) -> Faults:
        """What is wrong with this home on purpose, and the truth about it."""
        return self._life.faults

    @property
    def traces(self) -> Traces:
        """What automations and scripts did."""
        return self._engine.traces

    @property
    def users(self) -> dict[str, str]:
        """The ids of the people who may log in, by name; `admin` owns the home."""
        return self._built.users

    def begin(self) -> None:
        """Set all states, as at the end of a start of Home Assistant; a second call does nothing."""
        if not self._begun:
            self._begun = True
            self._life.begin()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call the listener for each event; what is returned ends that."""
        return self.bus.listen(listener)

    def advance(self) -> None:
        """Let happen what was due until now; what was missed in a pause of over a minute does not happen."""
        self._life.advance(self.clock.now_us())

    def run_for(self, seconds: float) -> None:
        """Let so much time go by at once; only with a ManualClock."""
        if not isinstance(self.clock, ManualClock):
            raise TypeError("the time of this home cannot be moved: give it a ManualClock")
        self.clock.advance(seconds)
        self._life.run_until(self.clock.now_us())

    def next_us(self) -> int | None:
        """Return when the next thing is due."""
        return self._life.next_us()

    def call_service(
        self,
        service: str,
        data: dict[str, Any] | None = None,
        target: dict[str, Any] | None = None,
        user: str | None = None,
    ) -> Context:
        """Do what a user asks for, and what that sets off. Raise RefusedError where there is no such service."""
        context = self.bus.context(user_id=user)
        self.services.call(service, data or {}, context, target)
        self._engine.settle()
        return context

    def set_state(self, entity_id: str, state: str, attributes: dict[str, Any] | None = None) -> Event | None:
        """Write a state from outside, and run what that sets off."""
        event = self.bus.set_state(entity_id, state, attributes)
        self._engine.settle()
        return event

    def set_available(self, device_id: str, *, available: bool) -> None:
        """Make a device unreachable, or bring it back."""
        self._life.set_available(device_id, available=available)

    def config(self) -> dict[str, Any]:
        """Return what `get_config` answers."""
        units = {"length": "km", "accumulated_precipitation": "mm", "mass": "g", "pressure": "Pa"}
        units |= {"temperature": "°C", "volume": "L", "wind_speed": "m/s"}
        components = sorted({entry.domain for entry in self.registry.config_entries.values()} | _COMPONENTS)
        return {
            "allowlist_external_dirs": [],
            "allowlist_external_urls": [],
            "components": components,
            "config_dir": "/config",
            "config_source": "storage",
            "country": "NL",
            "currency": "EUR",
            "elevation": 2,
            "external_url": None,
            "internal_url": None,
            "language": "en",
            "latitude": LATITUDE,
            "location_name": "Demo home",
            "longitude": LONGITUDE,
            "recovery_mode": False,
            "safe_mode": False,
            "state": "RUNNING",
            "time_zone": TIME_ZONE,
            "unit_system": units | ({"area": "m²"} if self.modern else {}),
            "version": self.ha_version,
            "whitelist_external_dirs": [],
            **({"debug": False, "radius": 100} if self.modern else {}),
        }

    def _states_json(self) -> list[bytes]:
        return [state.as_json() for state in self.bus.states.values()]

    def manifests(self) -> list[dict[str, Any]]:
        """Return what `manifest/list` answers."""
        found = []
        for entry in self.registry.config_entries.values():
            about = {"domain": entry.domain, "name": entry.title, "codeowners": [], "integration_type": "hub"}
            about |= {"documentation": f"https://www.home-assistant.io/integrations/{entry.domain}"}
            found.append(about | {"iot_class": "local_push", "is_built_in": True})
        return found

    def _planted(self, seed: int, names: Sequence[FaultName]) -> Faults:
        devices = self.registry.devices.values()
        hubs = {device.id: device.via_device_id for device in devices if device.via_device_id}
        span = Span(self.clock.now_us(), MINUTE_S, IN_MINUTES)
        return Planter(self._built.things, hubs, seed, span).plant(names)

    def _follow_rename(self, event: Event) -> None:
        old_entity_id = event.data.get("old_entity_id")
        if event.event_type == "entity_registry_updated" and old_entity_id in self._built.things:
            thing = self._built.things.pop(old_entity_id)
            thing.entity_id = event.data["entity_id"]
            self._built.things[thing.entity_id] = thing


_COMPONENTS: Final = frozenset(
    (
        *("api", "automation", "config", "counter", "group", "history", "http", "input_boolean", "input_button"),
        *("input_select", "person", "recorder", "scene", "script", "search", "sun", "trace", "websocket_api", "zone"),
    )
)
