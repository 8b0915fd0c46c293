"""Brings what a home says through the rules at the door and into facts by the hour, as tasks do; judges nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from ingestor.demo import chance
from ingestor.demo.clock import HOUR_US
from ingestor.demo.faults import Said
from ingestor.demo.month import Month, Placed
from ingestor.events.event import Event
from ingestor.events.values import is_available, number_of
from ingestor.quality.gate import Gate
from ingestor.quality.hours import HourFacts
from ingestor.quality.judging import JudgeContext, Subject
from ingestor.quality.rule import REPAIRED_BY
from ingestor.quality.tally import Carry, Found, Told, hour_facts
from ingestor.settings_quality import QualitySettings

HOME: Final = "home"
#: An hour is counted when nothing of it is to be expected any more: here, what a wrong clock puts an hour back.
_WAITS: Final = 2


class Feeding:
    """Feeds one month into facts."""

    def __init__(self, month: Month) -> None:
        self._month = month
        self._gate = Gate(QualitySettings())
        self._carried: dict[str, Carry] = {}
        self._chance = chance.source("lags")

    def facts(self, until_us: int | None = None) -> Iterator[HourFacts]:
        """Yield the facts of each entity and hour, in the order of time, as far as they are known at a time."""
        waiting: dict[int, list[Said]] = defaultdict(list)
        for said in self._month.told():
            if until_us is not None and said.time_us >= until_us:
                break
            hour_us = (said.time_us - said.behind_us) // HOUR_US * HOUR_US
            waiting[hour_us].append(said)
            if len(waiting) > _WAITS + 1:
                yield from self._hour(min(waiting), waiting.pop(min(waiting)))
        for hour_us in sorted(waiting):
            yield from self._hour(hour_us, waiting[hour_us])

    def context(self) -> JudgeContext:
        """Return what the map of the home says."""
        return JudgeContext({series: _subject(series, place) for series, place in self._month.places.items()})

    def _hour(self, hour_us: int, said: list[Said]) -> list[HourFacts]:
        events = [self._event(slot, one) for slot, one in enumerate(said)]
        looked = self._gate.look(list(events), (hour_us + 3 * HOUR_US) * 1000)
        rejected = {event.slot for event, _error in looked.rejected}
        return hour_facts(HOME, hour_us, told_of(events, rejected), self._carried)

    def _event(self, slot: int, said: Said) -> Event:
        kind = self._month.places[said.entity_id].thing.kind
        lag_us = round(5_000 + 1e6 * self._chance.expovariate(20))
        return Event(
            slot=slot,
            kind="state",
            event_type="state_changed",
            subject=said.entity_id,
            entity_id=said.entity_id,
            time_us=said.time_us - said.behind_us,
            received_ns=(said.time_us + lag_us) * 1000,
            source="websocket",
            identity=0,
            state=said.state,
            value=number_of(said.state),
            available=is_available(said.state),
            unit=said.unit,
            device_class=kind.device_class,
            state_class=kind.state_class,
        )


def told_of(events: Iterable[Event], rejected: Collection[int]) -> Iterator[Told]:
    """Yield what facts need of events, of which those in some slots were rejected at the door."""
    for event in events:
        found: Found = "rejected" if event.slot in rejected else ""
        if not found and event.extras and REPAIRED_BY in event.extras:
            found = "repaired"
        yield Told(
            series=event.subject,
            time_us=event.time_us,
            received_us=event.received_ns // 1000,
            state=None if found == "rejected" else event.state,
            value=event.value,
            unit=event.unit or "",
            source=event.source,
            entity_id=event.subject,
            device_class=event.device_class or "",
            found=found,
        )


def _subject(series: str, place: Placed) -> Subject:
    kind = place.thing.kind
    return Subject(
        series=series,
        entity_id=series,
        name=place.thing.friendly_name,
        domain=kind.domain,
        device_class=kind.device_class or "",
        state_class=kind.state_class or "",
        unit=kind.unit or "",
        area=place.area,
        device=place.device,
        integration=place.integration,
        via=place.via,
    )
