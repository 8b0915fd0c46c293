"""The command `retention`: what is older than it is to be kept, and, if asked for, its deletion."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

import typer

from ingestor import bootstrap, errors
from ingestor.cli.options import JsonFlag, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.managing.retention import LastRun, Retention, before_of
from ingestor.managing.workers import whoever_runs_this
from ingestor.reading.times import rfc3339_of_ns
from ingestor.security.audit import Audit
from ingestor.storage.pruning import Outdated, added_up

_STEP_S: Final = 5.0
_PAUSE_S: Final = 0.05


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Reading")(retention)


def retention(
    context: typer.Context,
    *,
    days: Annotated[
        int | None,
        typer.Option(
            min=1, max=36_500, help="Look at events that are older; default: as set [HA_INGESTOR_RETENTION__DAYS]."
        ),
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete them now; without it they are only counted.")
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """Say which stored events are older than they are to be kept, and what was deleted last; deletes only if asked."""
    settings = settings_of(context)
    chosen = settings.retention.days if days is None else days
    store, state = bootstrap.open_store(settings), bootstrap.open_state(settings)
    feed = bootstrap.open_live_feed(settings) if delete else None
    held = Retention(store, state, Audit(settings.data_dir), feed.notify if feed else None)
    try:
        if delete and chosen is None:
            raise errors.InvalidSettings("nothing says for how long events are kept: set retention.days, or say --days")
        before_ns = None if chosen is None else before_of(chosen)
        found = [] if before_ns is None else _deleted(held, before_ns) if delete else held.outdated(before_ns)
        _print(found, settings.retention.days, before_ns, _last(held), deleted=delete, as_json=json_output)
    finally:
        store.close()


def _deleted(held: Retention, before_ns: int) -> list[Outdated]:
    found: list[Outdated] = []
    while True:
        step = held.step(whoever_runs_this(), before_ns, for_s=_STEP_S)
        found = added_up([*found, *step.deleted])
        if step.over:
            return found
        say(f"{sum(one.events for one in found):,} events deleted so far")
        time.sleep(_PAUSE_S)


def _last(held: Retention) -> LastRun | None:
    try:
        return held.last()
    except errors.IngestorError:
        return None


def _print(
    found: list[Outdated],
    days: int | None,
    before_ns: int | None,
    last: LastRun | None,
    *,
    deleted: bool,
    as_json: bool,
) -> None:
    if as_json:
        told: dict[str, Any] = {
            "days": days,
            "before": None if before_ns is None else rfc3339_of_ns(before_ns),
            "deleted": deleted,
            "homes": [
                {
                    "home": one.home,
                    "events": one.events,
                    "first": rfc3339_of_ns(one.first_ns),
                    "last": rfc3339_of_ns(one.last_ns),
                }
                for one in found
            ],
            "last": None if last is None else {"at": rfc3339_of_ns(last.at_ns), "events": last.events, "by": last.by},
        }
        print_json(told)
        return
    say("events are kept for ever (retention.days is not set)" if days is None else f"events are kept for {days} days")
    if before_ns is not None:
        rows = [[one.home, f"{one.events:,}", rfc3339_of_ns(one.first_ns), rfc3339_of_ns(one.last_ns)] for one in found]
        word = "deleted" if deleted else f"older than {rfc3339_of_ns(before_ns)[:16]}"
        print_table(["home", f"events {word}", "first", "last"], rows)
    if last is not None:
        say(f"last deletion: {rfc3339_of_ns(last.at_ns)}, {last.events:,} events, by {last.by}")
