"""Commands for what was learned of a home by watching it: when an entity is active, and which errors were logged."""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
import typer

from ingestor import bootstrap, errors
from ingestor.cli.event_options import parse_time
from ingestor.cli.options import HomeOption, JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.events.observed import EntityPattern
from ingestor.events.point import StoredEvent
from ingestor.storage.port import EventQuery
from ingestor.wording import number_of

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_DAYS: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_COLUMNS: Final = ("integration", "level", "times", "last", "about", "message")
_MOST_TEXT: Final = 100


def register(group: typer.Typer) -> None:
    """Add the commands to the group `home`."""
    group.command("pattern")(pattern)
    group.command("errors")(logged_errors)


def pattern(
    context: typer.Context,
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="An entity_id.")],
    *,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show when an entity is active: its peak hours, how often is usual, by weekday and by month."""
    settings = settings_of(context)
    name = home_of(settings, home).name
    found = bootstrap.open_observed(settings).pattern(name, entity)
    if found is None:
        raise errors.NotFound(f"of {entity} nothing was observed in {name} yet: counts come in every few minutes")
    if as_json:
        print_json({**msgspec.to_builtins(found), "peak_hours": found.peak_hours})
        return
    print_table(("", "events", "", ""), _rows(found), title=f"{entity}: {number_of(found.events, 'event')}")
    say(f"since {_day(found.first_us)}, last {_day(found.last_us)}; lately {found.recent_per_hour:g} an hour")


def logged_errors(
    context: typer.Context,
    *,
    since: Annotated[str, typer.Option(metavar="AGE|TIME", help="30s, 10m, 1h, 2d, or an ISO time.")] = "24h",
    integration: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this integration.")] = None,
    home: HomeOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Most events to read.")] = 10_000,
    as_json: JsonFlag = False,
) -> None:
    """Show what Home Assistant logged, by integration; the same message once, the commonest first."""
    settings = settings_of(context)
    query = EventQuery(
        event_type="system_log_event",
        kind="event",
        home=home_of(settings, home).name,
        since_ns=parse_time(since, time.time_ns()),
        limit=limit,
    )
    store = bootstrap.open_store(settings)
    try:
        found = _grouped(store.read(query), integration)
    finally:
        store.close()
    if as_json:
        print_json(found)
    elif found:
        print_table(_COLUMNS, [_error_row(one) for one in found])
    else:
        say("no errors were logged, or the listener does not hear system_log_event (docs/explanation/context.md)")


def _grouped(events: Any, integration: str | None) -> list[dict[str, Any]]:
    """Return one object for each message of an integration."""
    groups: dict[tuple[str, str, str], list[StoredEvent]] = defaultdict(list)
    for event in events:
        told = [str(event.fields.get(name, "")) for name in ("log_integration", "log_level", "log_message")]
        if integration is None or told[0] == integration:
            groups[told[0], told[1], told[2]].append(event)
    made = [_group(*key, some) for key, some in groups.items()]
    return sorted(made, key=lambda one: (-int(one["times"]), one["integration"], one["message"]))


def _group(integration: str, level: str, message: str, events: list[StoredEvent]) -> dict[str, Any]:
    newest = max(events, key=lambda event: event.time_ns)
    about = {
        name.removeprefix("log_"): newest.fields[name]
        for name in ("log_automation", "log_entity_id", "log_device")
        if name in newest.fields
    }
    trace = "".join(str(newest.fields.get(name, "")) for name in _TRACE)
    times = {"times": len(events), "last": _day(newest.time_ns // 1000)}
    return {
        "integration": integration,
        "level": level,
        **times,
        "message": message,
        "about": about,
        "logger": newest.fields.get("logger", ""),
        "source": newest.fields.get("log_source", ""),
        "exception": trace,
    }


_TRACE: Final = ("exception", *(f"exception_{number}" for number in range(2, 9)))


def _error_row(one: dict[str, Any]) -> list[str]:
    about = ", ".join(str(value) for value in one["about"].values())
    first_line = one["message"].partition("\n")[0]
    text = first_line if len(first_line) <= _MOST_TEXT else f"{first_line[:_MOST_TEXT]}…"
    return [one["integration"] or "?", one["level"], str(one["times"]), one["last"], about, text]


def _rows(found: EntityPattern) -> list[list[str]]:
    peaks = ", ".join(f"{hour}-{(hour + 1) % 24} h" for hour in found.peak_hours)
    days = ", ".join(f"{name} {count}" for name, count in zip(_DAYS, found.weekdays, strict=True) if count)
    months = ", ".join(f"{name} {count}" for name, count in zip(_MONTHS, found.months, strict=True) if count)
    return [
        ["hour of the day, 0 to 23", _chart(found.hours), "most at", peaks],
        ["Monday to Sunday", _chart(found.weekdays), "", days],
        ["January to December", _chart(found.months), "", months],
    ]


def _chart(counts: list[int]) -> str:
    """Return counts as bars; what is more than nothing is seen."""
    most = max(counts, default=0) or 1
    return "".join(_BLOCKS[-(-count * (len(_BLOCKS) - 1) // most)] for count in counts)


def _day(time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us // 1_000_000, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
