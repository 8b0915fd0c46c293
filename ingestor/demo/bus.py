"""The demo home's states and the events that tell of them; knows neither devices nor clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ingestor.demo import chance
from ingestor.demo.clock import Clock
from ingestor.demo.wire import Context, Event, State, is_modern, ulid

Listener = Callable[[Event], None]

#: One step follows another within a chain after about this long.
_STEP_US: Final = (40, 400)


class Bus:
    """States by entity, and all who want to hear of events. No two events have the same time."""

    def __init__(self, clock: Clock, seed: int, ha_version: str) -> None:
        self.clock = clock
        self.ha_version = ha_version
        self.modern = is_modern(ha_version)
        self.states: dict[str, State] = {}
        self._listeners: list[Listener] = []
        self._chance = chance.source("bus", seed)
        self._last_us = 0
        #: The simulated time while something scheduled happens; else the clock's.
        self.scheduled_us: int | None = None

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call the listener for each event from now on; what is returned ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @property
    def last_us(self) -> int:
        """When the newest thing happened."""
        return self._last_us

    def now_us(self) -> int:
        """Return a time later than that of everything before."""
        now_us = self.clock.now_us() if self.scheduled_us is None else self.scheduled_us
        self._last_us = max(now_us, self._last_us + self._chance.randint(*_STEP_US))
        return self._last_us

    def context(self, parent: Context | None = None, user_id: str | None = None) -> Context:
        """Return a new context, caused by another one or by a user."""
        time_us = max(self._last_us, self.scheduled_us or self.clock.now_us())
        return Context(ulid(time_us, self._chance), parent.id if parent else None, user_id)

    def fire(
        self, event_type: str, data: dict[str, Any], context: Context | None = None, *, origin: str = "LOCAL"
    ) -> Event:
        """Tell all listeners of an event."""
        event = Event(event_type, self.now_us(), context or self.context(), data, origin)
        self.tell(event)
        return event

    def tell(self, event: Event) -> None:
        """Give an event to all listeners."""
        for listener in list(self._listeners):
            listener(event)

    def set_state(
        self,
        entity_id: str,
        state: str,
        attributes: dict[str, Any] | None = None,
        context: Context | None = None,
        *,
        behind_us: int = 0,
    ) -> Event | None:
        """Write a state, as of so long ago. The same again makes no event; attributes that are not given stay."""
        old = self.states.get(entity_id)
        if attributes is None:
            attributes = old.attributes if old else {}
        now_us = self.now_us() - behind_us
        if old and old.state == state and old.attributes == attributes:
            old.report(now_us)
            return None
        changed_us = old.changed_us if old and old.state == state else now_us
        cause = context or self.context()
        new = State(entity_id, state, attributes, changed_us, now_us, now_us, cause, self.modern)
        self.states[entity_id] = new
        return self._changed(entity_id, old, new, now_us, cause)

    def remove(self, entity_id: str, context: Context | None = None) -> Event | None:
        """Remove a state."""
        old = self.states.pop(entity_id, None)
        if old is None:
            return None
        return self._changed(entity_id, old, None, self.now_us(), context or self.context())

    def _changed(self, entity_id: str, old: State | None, new: State | None, time_us: int, context: Context) -> Event:
        event = Event("state_changed", time_us, context, {}, entity_id=entity_id, old=old, new=new)
        self.tell(event)
        return event
