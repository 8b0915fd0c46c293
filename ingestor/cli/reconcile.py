"""The command `reconcile`: shows which hours were compared with store and history, or compares them now."""
# ruff: noqa: PLC0415 -- the database, the store and Home Assistant's client are loaded when they are asked

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ingestor import errors
from ingestor.cli.event_options import parse_time
from ingestor.cli.options import JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.wording import number_of

if TYPE_CHECKING:
    import redis

    from ingestor.settings import HomeSettings, Settings
    from ingestor.storage.reconciled import ReconciledHour, ReconciledHours, Reconciliation

_US: Final = 1_000_000
_NS_PER_US: Final = 1000
_STEP_S: Final = 8.0
#: A worker holds a home for one step at a time.
_LOCKED_S: Final = 60.0
_COLUMNS: Final = ("hour", "home", "state", "ledger", "stored", "history", "missing", "repaired", "why")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        rich_help_panel="Reading",
        epilog="Examples: `ha-ingestor reconcile --since 1d` · `ha-ingestor reconcile --run --since 2d --json`",
    )(reconcile)


def reconcile(
    context: typer.Context,
    *,
    since: Annotated[
        str | None, typer.Option(metavar="AGE|TIME", help="Only hours from then on: 10h, 2d, or an ISO time.")
    ] = None,
    home: Annotated[str | None, typer.Option("--home", metavar="NAME", help="Only this home.")] = None,
    run: Annotated[
        bool, typer.Option("--run", help="First compare what is due; with --since every hour from then on, once more.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most hours to print.")] = 48,
    as_json: JsonFlag = False,
) -> None:
    """Print what was found when hours were compared with the ledger, the store and Home Assistant's history.

    With --json one object: `homes` with what all of their hours say together, and `hours`, newest first.
    """
    from ingestor import bootstrap, bootstrap_quality

    settings = settings_of(context)
    since_us = parse_time(since, time.time_ns()) // _NS_PER_US if since else None
    database = bootstrap.open_metadata(settings)
    if run:
        chosen = settings.all_homes() if home is None else [home_of(settings, home)]
        _run(settings, chosen, since_us)
    hours = bootstrap_quality.open_reconciled_hours(settings, database)
    # The hour in which the time lies is one of them.
    begin_us = (since_us or 0) // (3600 * _US) * 3600 * _US
    _print(hours, home, hours.list(home=home, since_us=begin_us, limit=limit), as_json=as_json)


def _run(settings: Settings, homes: Iterable[HomeSettings], since_us: int | None) -> None:
    from ingestor import bootstrap, bootstrap_quality

    store, state = bootstrap.open_store(settings), bootstrap.open_state(settings)
    database = bootstrap.open_metadata(settings)
    try:
        for home in homes:
            reconciler = bootstrap_quality.open_reconciler(settings, home, store=store, state=state, database=database)
            more, again_since_us = True, since_us
            while more:
                with _held(state, home.name):
                    if again_since_us is not None:
                        say(f"{home.name}: {reconciler.again(again_since_us)} hours are compared once more")
                        again_since_us = None
                    more = reconciler.step(_STEP_S)
    finally:
        store.close()
        database.dispose()


@contextlib.contextmanager
def _held(state: redis.Redis[bytes], home: str) -> Iterator[None]:
    """Hold a home's lock. Raises StateUnavailable where others do not let it go."""
    from ingestor.pipeline.reconcile_home import reconcile_lock

    until_s = time.monotonic() + _LOCKED_S
    while True:
        with reconcile_lock(state, home) as mine:
            if mine:
                yield
                return
        if time.monotonic() > until_s:
            raise errors.StateUnavailable(f"{home} is being reconciled by another process")
        time.sleep(0.5)


def _print(hours: ReconciledHours, home: str | None, found: list[ReconciledHour], *, as_json: bool) -> None:
    homes = [one for one in hours.summaries() if home in (None, one.home)]
    if as_json:
        print_json({"homes": [summary_object(one) for one in homes], "hours": [as_object(hour) for hour in found]})
        return
    if found:
        print_table(_COLUMNS, [_row(hour) for hour in found])
    for one in homes:
        say(f"{one.home}: {sentence(one)}")
    if not homes:
        say("no hour was compared yet: one is when it is over for some time and all of it is written")


def sentence(of: Reconciliation) -> str:
    """Say how far a home is reconciled."""
    waiting = f", {number_of(of.waiting, 'hour')} to come" if of.waiting else ""
    return f"reconciled up to {_local(of.until_us)}, missing {of.missing:,}, repaired {of.repaired:,}{waiting}"


def summary_object(of: Reconciliation) -> dict[str, Any]:
    """Return a home's summary as the JSON object that is printed."""
    return {**asdict(of), "reconciled_from": _iso(of.first_us), "reconciled_until": _iso(of.until_us)}


def as_object(hour: ReconciledHour) -> dict[str, Any]:
    """Return an hour as the JSON object that is printed."""
    found = {**asdict(hour), "state": hour.state.value, "hour": _iso(hour.hour_us), "ended": hour.ended}
    del found["progress"]
    return found


def _row(hour: ReconciledHour) -> list[str]:
    numbers = (hour.expected, hour.stored, hour.compared)
    shown = ("-" if number is None else f"{number:,}" for number in numbers)
    return [
        _local(hour.hour_us),
        hour.home,
        hour.state.value,
        *shown,
        f"{hour.missing:,}",
        f"{hour.repaired:,}",
        hour.why,
    ]


def _iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / _US, UTC).isoformat()


def _local(time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us / _US, UTC).astimezone():%Y-%m-%d %H:%M}"
