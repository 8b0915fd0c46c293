"""Commands about gaps: spans of time in which a home could not be heard, and what became of them."""
# ruff: noqa: PLC0415 -- the database is loaded when it is asked

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from ingestor import errors
from ingestor.cli.event_options import parse_time
from ingestor.cli.options import HomeOption, JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.queue.names import TaskType
from ingestor.reading.gaps import gap_object
from ingestor.settings import HomeSettings, Settings
from ingestor.storage.gaps import GapRecord, Gaps, gap_id_of, refilled
from ingestor.wording import number_of

_US: Final = 1_000_000
_NS_PER_US: Final = 1000
#: The listener's name in a gap that a person asked for.
_BY_HAND: Final = "by-hand"
GapId = Annotated[str, typer.Argument(metavar="ID", help="The gap's id, as `ha-ingestor gaps` prints it.")]
#: The queue of the tasks that fill.
_HISTORY: Final = TaskType.HISTORY.value
_COLUMNS: Final = ("from", "for", "home", "reason", "state", "written", "lost", "why", "id")


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(
        invoke_without_command=True,
        help="Spans of time in which a home could not be heard, and how far they are filled from its history.",
        epilog="Examples: `ha-ingestor gaps --since 1d` · `ha-ingestor gaps add --from 2h --to 1h` · "
        "`ha-ingestor gaps retry ID`",
    )
    group.callback(invoke_without_command=True)(list_gaps)
    group.command("list")(list_gaps)
    group.command("show")(show)
    group.command("retry")(retry)
    group.command("add")(add)
    app.add_typer(group, name="gaps", rich_help_panel="Reading")


def list_gaps(
    context: typer.Context,
    *,
    since: Annotated[
        str | None, typer.Option(metavar="AGE|TIME", help="Only gaps not over before: 10m, 1h, 2d, or an ISO time.")
    ] = None,
    home: Annotated[str | None, typer.Option("--home", metavar="NAME", help="Only this home.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most gaps to print.")] = 100,
    as_json: JsonFlag = False,
) -> None:
    """Print gaps, newest first; with --json one object: `gaps`, and `all_ended`: none is open or being filled."""
    if context.invoked_subcommand is not None:
        return
    since_us = parse_time(since, time.time_ns()) // _NS_PER_US if since else 0
    gaps = _open(context)
    found = gaps.list(home=home, since_us=since_us, limit=limit)
    waiting = len(gaps.list(home=home, unended_only=True, limit=100_000))
    untold = _untold(context)
    if as_json:
        ended = not waiting and not untold
        print_json(
            {"all_ended": ended, "waiting": waiting, "untold": untold, "gaps": [gap_object(gap) for gap in found]}
        )
        return
    if found:
        print_table(_COLUMNS, [_row(gap) for gap in found])
    say(f"{number_of(len(found), 'gap')}, {waiting} of all not ended" if found else "no gaps")


def show(context: typer.Context, gap_id: GapId, as_json: JsonFlag = False) -> None:
    """Print everything about one gap."""
    found = gap_object(_find(_open(context), gap_id))
    if as_json:
        print_json(found)
        return
    print_table(["", ""], [[key, _text(value)] for key, value in found.items()])


def retry(context: typer.Context, gap_id: GapId) -> None:
    """Fill a gap once more, from its beginning; what is stored already does no harm."""
    gaps = _open(context)
    gap = _find(gaps, gap_id)
    if not gap.end_us:
        raise errors.IngestorError(f"the gap {gap_id} is not over yet")
    gaps.save(refilled(gap))
    _say_when(context, gap_id)


def add(
    context: typer.Context,
    *,
    since: Annotated[str, typer.Option("--from", metavar="AGE|TIME", help="2h, 1d, or an ISO time.")],
    until: Annotated[str, typer.Option("--to", metavar="AGE|TIME", help="As --from; default: now.")] = "0s",
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Have a span of time read back from a home's history, as if it were a gap."""
    start_us, end_us = _span(since, until)
    settings = settings_of(context)
    name = _home_with_history(settings, home).name
    gaps = _open(context)
    gap = GapRecord(gap_id_of(name, _BY_HAND, start_us), name, _BY_HAND, "asked_for", start_us, end_us)
    before = gaps.find(gap.gap_id)
    ask_for(gaps, gap, before)
    if as_json:
        print_json(gap_object(_find(gaps, gap.gap_id)))
    if before is not None:
        say(f"it was asked for before, and is {before.state.value}")
    _say_when(context, gap.gap_id)


def ask_for(gaps: Gaps, asked: GapRecord, before: GapRecord | None) -> None:
    """Have a span filled; one that was asked for `before` and has ended anew, unless it grows and so is anyway."""
    if before is not None and before.ended and asked.end_us <= before.end_us:
        gaps.save(refilled(before))
    else:
        gaps.observe(asked)


def _span(since: str, until: str) -> tuple[int, int]:
    now_ns = time.time_ns()
    start_us, end_us = (parse_time(text, now_ns) // _NS_PER_US for text in (since, until))
    if not start_us < end_us:
        raise typer.BadParameter("--from must be before --to")
    if end_us > now_ns // _NS_PER_US:
        raise typer.BadParameter("--to is in the future: of that there is no history yet")
    return start_us, end_us


def _home_with_history(settings: Settings, name: str | None) -> HomeSettings:
    """Return the home that is meant. Raises InvalidSettings where it has nothing that could be read back."""
    home = home_of(settings, name)
    others = [one for one in settings.all_homes() if one.homeassistant.url or one.mqtt.url]
    simulated = settings.demo.enabled if settings.demo.enabled is not None else not others
    if not home.homeassistant.url and not (simulated and home.name == settings.home):
        raise errors.InvalidSettings(
            f"no Home Assistant is set for {home.name}, so there is no history to read back:"
            " set HA_INGESTOR_HOMEASSISTANT__URL and HA_INGESTOR_HOMEASSISTANT__TOKEN"
        )
    return home


def _say_when(context: typer.Context, gap_id: str) -> None:
    """Say when a gap is filled; that it waits, where nobody is there who would."""
    from ingestor import bootstrap

    nodes = bootstrap.open_status_board(settings_of(context)).all().values()
    takes = [_HISTORY in node.get("queues", ()) and _HISTORY not in node.get("paused", ()) for node in nodes]
    if any(takes):
        say(f"{gap_id} is filled within a minute")
    else:
        say(f"{gap_id} is kept, and filled once a worker takes `{_HISTORY}` tasks: none does (see `ha-ingestor up`)")


def _open(context: typer.Context) -> Gaps:
    from ingestor import bootstrap

    return bootstrap.open_gaps(settings_of(context))


def _untold(context: typer.Context) -> int:
    """Return how many gaps listeners know of that the database does not, as far as they can be asked."""
    from ingestor import bootstrap

    entries = bootstrap.open_status_board(settings_of(context)).all().values()
    return sum(int(entry.get("gaps_waiting", 0)) for entry in entries)


def _find(gaps: Gaps, gap_id: str) -> GapRecord:
    gap = gaps.find(gap_id)
    if gap is None:
        raise errors.IngestorError(f"there is no gap {gap_id}; `ha-ingestor gaps` lists them")
    return gap


def _row(gap: GapRecord) -> list[str]:
    lasted = f"{(gap.end_us - gap.start_us) / _US:,.1f} s" if gap.end_us else "…"
    return [
        f"{datetime.fromtimestamp(gap.start_us / _US, UTC).astimezone():%Y-%m-%d %H:%M:%S}",
        lasted,
        gap.home,
        gap.reason,
        gap.state.value,
        f"{gap.counts.get('written', 0):,}",
        f"{sum(gap.lost.values()):,}",
        gap.why,
        gap.gap_id,
    ]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {one}" for key, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
