"""The command `events`: prints stored events from any store, newest first."""
# ruff: noqa: PLC0415 -- the store is loaded when it is asked

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from ingestor.cli.event_options import (
    EntityOption,
    KindOption,
    OnlyHomeOption,
    SinceOption,
    TypeOption,
    UntilOption,
    query_from,
)
from ingestor.cli.events_context import in_words
from ingestor.cli.options import JsonFlag, settings_of
from ingestor.cli.output import print_json_line, print_table, say
from ingestor.events.point import FieldValue, StoredEvent
from ingestor.reading.context import ContextJoin
from ingestor.reading.times import rfc3339_of_ns
from ingestor.storage.port import EventQuery, StoredMoment

_NS: Final = 1_000_000_000
_COLUMNS: Final = ("time", "entity or series", "state", "previous", "area", "device", "source", "type")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        rich_help_panel="Reading",
        epilog="Examples: `ha-ingestor events --entity 'light.*' --since 10m` · "
        "`ha-ingestor events --type call_service --json | jq .fields` · "
        "`ha-ingestor events --entity 'climate.*' --context`",
    )(events)


def events(
    context: typer.Context,
    *,
    entity: EntityOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    event_type: TypeOption = None,
    kind: KindOption = None,
    home: OnlyHomeOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Most events to print.")] = 100,
    with_context: Annotated[
        bool, typer.Option("--context", help="With what held for the home then: weather, light, who was there.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Print stored events, newest first; with --json one object a line."""
    query = query_from(
        entity=entity, since=since, until=until, event_type=event_type, kind=kind, home=home, limit=limit
    )
    found = _read(context, query, with_context=with_context)
    if as_json:
        for event, moment in found:
            print_json_line(as_object(event) | ({"context": moment and _moment(moment)} if with_context else {}))
        return
    rows = [[*_row(event), in_words(moment)] if with_context else _row(event) for event, moment in found]
    if rows:
        print_table((*_COLUMNS, "context") if with_context else _COLUMNS, rows)
    else:
        say("no events match")


def _read(
    context: typer.Context, query: EventQuery, *, with_context: bool
) -> Iterator[tuple[StoredEvent, StoredMoment | None]]:
    from ingestor import bootstrap

    store = bootstrap.open_store(settings_of(context))
    join = ContextJoin(store)
    try:
        for event in store.read(query):
            yield event, join.of(event) if with_context else None
    finally:
        store.close()


def as_object(event: StoredEvent) -> dict[str, Any]:
    """Return an event as the JSON object that is printed."""
    return {
        "time": rfc3339_of_ns(event.time_ns),
        "time_ns": event.time_ns,
        "kind": event.kind,
        "home": event.home,
        "series": event.series,
        "domain": event.domain,
        "tags": event.tags,
        "fields": event.fields,
    }


def _moment(moment: StoredMoment) -> dict[str, Any]:
    return {"time": rfc3339_of_ns(moment.time_ns), "fields": moment.fields}


def moment_text(time_ns: int) -> str:
    """Return a time (Unix, nanoseconds) as a person of this zone reads it, to the millisecond."""
    moment = datetime.fromtimestamp(time_ns // _NS, UTC).astimezone()
    return f"{moment:%Y-%m-%d %H:%M:%S}.{time_ns // 1_000_000 % 1000:03d}"


def _row(event: StoredEvent) -> list[str]:
    fields, tags = event.fields, event.tags
    return [
        moment_text(event.time_ns),
        str(fields.get("entity_id") or event.series),
        _with_unit(fields),
        str(fields.get("previous_state", "")),
        _named(tags.get("area")),
        _named(tags.get("device")),
        str(fields.get("source", "")),
        str(fields.get("event_type") or tags.get("event_type") or ("state_changed" if event.kind == "state" else "")),
    ]


def _with_unit(fields: dict[str, FieldValue]) -> str:
    words: Iterable[str] = (str(fields.get(name, "")) for name in ("state", "unit"))
    return " ".join(word for word in words if word)


def _named(tag: str | None) -> str:
    return "" if tag in (None, "-") else str(tag)
