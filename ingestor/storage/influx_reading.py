"""Reading events by InfluxQL in their order; sends nothing by itself.

InfluxQL sorts by time alone, and compares no tag but for equality. So a page that ends among events of one time is
asked for without that time, and for all of that time: no more than a home has series.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from ingestor.events.point import StoredEvent
from ingestor.storage.influx_counts import quoted
from ingestor.storage.port import HOUR_NS, EventQuery, position_of
from ingestor.storage.reading_order import first_of_each, follows, names_of
from ingestor.storage.schema import OTHERS, STATES

_MEASUREMENTS: Final = {"state": STATES, "event": OTHERS}
_GLOB: Final = {"*": ".*", "?": "."}
#: How far from where the order begins events are looked for, before all of the time is asked for.
_SPANS_NS: Final = tuple(hours * HOUR_NS for hours in (1, 12, 144, 32 * 24, 366 * 24))
#: Asks for one kind of events by a statement.
Ask = Callable[[str, str], list[StoredEvent]]


def read(query: EventQuery, ask: Ask) -> Iterator[StoredEvent]:
    """Yield events in their order."""
    found: list[StoredEvent] = []
    for kind in kinds_of(query):
        if query.limit > 0:
            found += _first(query, kind, ask) if query.each is None else _first_of_each(query, kind, ask)
    yield from first_of_each(found, query)


def _first(query: EventQuery, kind: str, ask: Ask) -> list[StoredEvent]:
    """Return at least the first `limit` events of a kind, if there are so many: all that are before any other."""
    begun: list[StoredEvent] = []
    if query.after is not None:
        time_ns = query.after.time_ns
        begun = [event for event in _all_of(query, kind, time_ns, ask) if follows(event, query)]
        query = _beyond(query, time_ns)
    if len(begun) >= query.limit:
        return begun
    # One more tells whether the last of them has others beside it that were cut off.
    found = _nearest_or_all(replace(query, limit=query.limit + 1), kind, ask)
    if len(found) <= query.limit or found[-1].time_ns != found[-2].time_ns:
        return begun + found
    cut_ns = found[-1].time_ns
    return [*begun, *(event for event in found if event.time_ns != cut_ns), *_all_of(query, kind, cut_ns, ask)]


def _nearest_or_all(query: EventQuery, kind: str, ask: Ask) -> list[StoredEvent]:
    """Return the first `limit` events, looked for in more and more time from where the order begins.

    Asked for all of its time at once, a server opens all that it has of every series before it tells the first.
    """
    for part in _beginnings(query):
        found = _asked(part, kind, ask)
        if len(found) >= query.limit:
            return found
    return _asked(query, kind, ask)


def _beginnings(query: EventQuery) -> Iterator[EventQuery]:
    since_ns, until_ns = query.since_ns, query.until_ns
    if query.oldest_first:
        # Of what has no beginning nobody knows where to look.
        for span_ns in _SPANS_NS if since_ns is not None else ():
            end_ns = (since_ns or 0) + span_ns
            if until_ns is not None and end_ns >= until_ns:
                return
            yield replace(query, until_ns=end_ns)
        return
    end_ns = time.time_ns() if until_ns is None else until_ns
    for span_ns in _SPANS_NS:
        if end_ns - span_ns <= (since_ns or 0):
            return
        yield replace(query, since_ns=end_ns - span_ns)


def _first_of_each(query: EventQuery, kind: str, ask: Ask) -> list[StoredEvent]:
    """Return at least the first `each` events of each series; of those that lack some, more of the past is asked."""
    end_ns = time.time_ns() if query.until_ns is None else query.until_ns
    spans = (
        () if query.oldest_first else tuple(end_ns - one for one in _SPANS_NS if end_ns - one > (query.since_ns or 0))
    )
    missing = set(query.series or ())
    found: dict[str, list[StoredEvent]] = {}
    for since_ns in (*spans, query.since_ns):
        if not missing:
            break
        events = _asked(replace(query, series=tuple(sorted(missing)), since_ns=since_ns, limit=0), kind, ask)
        for name in missing:
            found[name] = [event for event in events if name in names_of(event)]
        missing = {name for name in missing if len(found[name]) < (query.each or 0)}
    return list({position_of(event): event for events in found.values() for event in events}.values())


def _all_of(query: EventQuery, kind: str, time_ns: int, ask: Ask) -> list[StoredEvent]:
    since_ns, until_ns = query.since_ns, query.until_ns
    if (since_ns is not None and time_ns < since_ns) or (until_ns is not None and time_ns >= until_ns):
        return []
    return _asked(replace(query, since_ns=time_ns, until_ns=time_ns + 1, limit=0), kind, ask)


def _beyond(query: EventQuery, time_ns: int) -> EventQuery:
    """Return the query for what is after all events of a time."""
    if query.oldest_first:
        return replace(query, after=None, since_ns=max(time_ns + 1, query.since_ns or 0))
    return replace(query, after=None, until_ns=time_ns if query.until_ns is None else min(time_ns, query.until_ns))


def _asked(query: EventQuery, kind: str, ask: Ask) -> list[StoredEvent]:
    statement = statement_of(query, kind)
    return ask(kind, statement) if statement else []


def kinds_of(query: EventQuery) -> list[str]:
    """Return the kinds of events that are asked for."""
    return [kind for kind in _MEASUREMENTS if query.kind in (None, kind)]


def statement_of(query: EventQuery, kind: str) -> str | None:
    """Return what asks for the events of a kind, by time alone; None where there can be none. No limit: 0."""
    terms = _terms(query, kind)
    if terms is None:
        return None
    where = f" WHERE {' AND '.join(terms)}" if terms else ""
    order = "ASC" if query.oldest_first else "DESC"
    limit = query.each or query.limit
    most = f" LIMIT {int(limit)}" if limit else ""
    by = ' GROUP BY "home", "series"' if query.each else ""
    return f'SELECT * FROM "{_MEASUREMENTS[kind]}"{where}{by} ORDER BY time {order}{most}'  # noqa: S608 -- escaped


def _terms(query: EventQuery, kind: str) -> list[str] | None:
    """Return what is asked of one measurement; None where it cannot hold that."""
    terms: list[str] = []
    if query.event_type is not None and kind == "event":
        terms.append(f'"event_type" =~ /{_regex(query.event_type)}/')
    elif query.event_type is not None and not re.fullmatch(_regex(query.event_type), "state_changed"):
        return None
    if query.entity is not None:
        pattern = _regex(query.entity)
        terms.append(f'("series" =~ /{pattern}/ OR "entity_id" =~ /{pattern}/)')
    if query.cause is not None:
        pattern = _regex(query.cause)
        # A field that no point has counts as a tag that is empty.
        terms.append(
            f'(("cause_id" =~ /{pattern}/ AND "cause_id" != \'\')'
            f' OR ("root_cause_id" =~ /{pattern}/ AND "root_cause_id" != \'\'))'
        )
    if query.home is not None:
        terms.append(f'"home" = {quoted(query.home)}')
    terms += _times(query)
    if query.context_ids is not None:
        terms.append(_any_of("context_id", query.context_ids))
    terms += [_any_of(name, values) for name, values in query.tags]
    if query.series is not None:
        terms.append(named(query.series, kind) if query.series else "")
    return terms if all(terms) else None


def _times(query: EventQuery) -> list[str]:
    since = [] if query.since_ns is None else [f"time >= {query.since_ns}"]
    return since if query.until_ns is None else [*since, f"time < {query.until_ns}"]


def _any_of(name: str, values: tuple[str, ...]) -> str:
    """Return what asks for one of these values; nothing where there is none."""
    one_of = " OR ".join(f'"{name}" = {quoted(value)}' for value in values)
    return f"({one_of})" if one_of else ""


def named(series: tuple[str, ...], kind: str) -> str:
    """Return what asks for these series: of events that are no states, for those about one of them, too."""
    names = "|".join(re.escape(name).replace("/", "\\/") for name in series)
    about = "" if kind == "state" else "([^:]*:)?"
    return f'"series" =~ /^{about}({names})$/'


def _regex(glob: str) -> str:
    return "^" + "".join(_GLOB.get(sign) or re.escape(sign).replace("/", "\\/") for sign in glob) + "$"
