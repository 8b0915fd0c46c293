"""Adding up hours for the store within one process: the plain way that the real ones are held against."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from ingestor.events.point import StoredEvent
from ingestor.storage.series_hours import NOT_THERE, SeriesHour, StoredValue


def added_up(events: Iterable[StoredEvent]) -> list[SeriesHour]:
    """Return the states added up by series."""
    of: dict[str, list[StoredEvent]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.time_ns):
        of[event.series].append(event)
    return [_hour(series, states) for series, states in of.items()]


def stored_value(event: StoredEvent) -> StoredValue:
    """Return a state with what judging it needs."""
    fields = event.fields
    state, value, delay = fields.get("state"), fields.get("value"), fields.get("receive_delay")
    return StoredValue(
        event.time_ns,
        event.series,
        str(fields.get("entity_id", event.series)),
        None if state is None else str(state),
        None if value is None else float(value),
        str(fields.get("unit", "")),
        str(fields.get("source", "")),
        "repaired_by" in fields,
        None if delay is None else float(delay),
    )


def _hour(series: str, events: Sequence[StoredEvent]) -> SeriesHour:
    stored = [stored_value(event) for event in events]
    values = [one.value for one in stored if one.value is not None]
    changes = [(event.fields.get("state"), event.fields.get("previous_state")) for event in events]
    delays = sorted(one.delay_s for one in stored if one.delay_s is not None)
    return SeriesHour(
        series=series,
        entity_id=stored[-1].entity_id,
        states=len(stored),
        values=len(values),
        distinct=len({one.state for one in stored if one.state is not None}),
        first_ns=stored[0].time_ns,
        last_ns=stored[-1].time_ns,
        last_state=next((one.state for one in reversed(stored) if one.state is not None), ""),
        low=min(values, default=None),
        high=max(values, default=None),
        mean=statistics.fmean(values) if values else None,
        deviation=statistics.stdev(values) if len(values) > 1 else None,
        first=values[0] if values else None,
        last=values[-1] if values else None,
        falls=sum(late < early for early, late in pairwise(values)),
        changes=sum(before is not None and state is not None and state != before for state, before in changes),
        not_there=sum(one.state in NOT_THERE for one in stored),
        repaired=sum(one.repaired for one in stored),
        longest_s=max((late.time_ns - early.time_ns for early, late in pairwise(stored)), default=0) / 1e9,
        units=tuple(dict.fromkeys(one.unit for one in stored if one.unit)),
        sources=tuple(sorted(Counter(one.source for one in stored).items())),
        delays_s=(*(delays[max(0, round(share * len(delays)) - 1)] for share in (0.5, 0.95, 0.99)), delays[-1])
        if delays
        else (),
    )
