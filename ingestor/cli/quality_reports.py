"""Commands about reports: make one at once, list and show those that were made, list alerts."""
# ruff: noqa: PLC0415 -- the store and the database are loaded when they are asked

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

import typer

from ingestor import errors
from ingestor.cli.event_options import parse_time
from ingestor.cli.events import moment_text
from ingestor.cli.files import whole_file
from ingestor.cli.options import HomeOption, JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, progress_bar, say
from ingestor.reading.quality import delivery_objects, report_object

if TYPE_CHECKING:
    from ingestor.reports.document import Report
    from ingestor.reports.render import Form
    from ingestor.reports.shelf import KeptReport
    from ingestor.settings import Settings

_FORMS: Final = ("html", "json", "md", "pdf")
_US_PER_DAY: Final = 86_400_000_000
_MOST_DAYS: Final = 400
_REPORT_COLUMNS: Final = ("id", "from", "to", "score", "context", "valid", "up", "problems", "new", "delivered")
_ALERT_COLUMNS: Final = ("home", "alert", "since", "over", "", "delivered")
FormOption = Annotated[
    Literal["html", "json", "md", "pdf"] | None,
    typer.Option("--format", help="html, json, md or pdf; default: as the file is called, else md."),
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="File to write; default: standard output.")
]


def register(group: typer.Typer) -> None:
    """Add the commands to the group `quality`."""
    group.command(
        epilog="Examples: `ha-ingestor quality report --output report.html` · "
        "`ha-ingestor quality report --since 30d --format pdf --output month.pdf`"
    )(report)
    kept = typer.Typer(no_args_is_help=True, help="Reports that were made by schedule.")
    kept.command("list")(list_)
    kept.command(epilog="Example: `ha-ingestor quality reports show home-daily-20261121T0000 --output day.html`")(show)
    group.add_typer(kept, name="reports")
    group.command()(alerts)


def report(
    context: typer.Context,
    *,
    since: Annotated[str, typer.Option(metavar="AGE|TIME", help="24h, 7d, or an ISO time.")] = "24h",
    until: Annotated[str | None, typer.Option(metavar="AGE|TIME", help="As --since; default: now.")] = None,
    form: FormOption = None,
    output: OutputOption = None,
    home: HomeOption = None,
) -> None:
    """Make a report on the quality of what a home told, at once; it is not kept."""
    from ingestor import bootstrap, bootstrap_quality
    from ingestor.reports.schedule import Due

    settings = settings_of(context)
    name = home_of(settings, home).name
    now_ns = time.time_ns()
    start_us, end_us = parse_time(since, now_ns) // 1000, (parse_time(until, now_ns) if until else now_ns) // 1000
    _require_span(start_us, end_us)
    chosen = _form_of(form, output)
    database, store = bootstrap.open_metadata(settings), bootstrap.open_store(settings)
    try:
        maker = bootstrap_quality.open_report_maker(
            settings, name, store=store, database=database, time_zone=_zone(settings, name)
        )
        with progress_bar("report") as advance:
            made = maker.now(Due("asked", start_us, end_us), now_ns // 1000, advance)
    finally:
        store.close()
        database.dispose()
    _put_out(made, chosen, output)


def _require_span(start_us: int, end_us: int) -> None:
    if start_us >= end_us:
        raise errors.InvalidSettings("--since is not before --until")
    if end_us - start_us > _MOST_DAYS * _US_PER_DAY:
        raise errors.InvalidSettings(f"a report tells of {_MOST_DAYS} days at most")


def _zone(settings: Settings, home: str) -> str:
    """Return the time zone that is set in Home Assistant, "" where the state server cannot be asked."""
    from ingestor import bootstrap

    try:
        facts = bootstrap.open_facts(settings, bootstrap.open_state(settings))
        facts.refresh()
        return facts.facts(home).time_zone
    except errors.Transient:
        return ""


def _form_of(form: str | None, output: Path | None) -> Form:
    """Return the form that is asked for, or that the file's name tells. Raises InvalidSettings."""
    told = "" if output is None else output.suffix.removeprefix(".").lower()
    chosen = form or {"htm": "html", "markdown": "md"}.get(told, told) or "md"
    if chosen not in _FORMS:
        raise errors.InvalidSettings(f"--output {output}: no form is called {told}; --format says which of {_FORMS}")
    return cast("Form", chosen)


def _put_out(made: Report, form: Form, output: Path | None) -> None:
    from ingestor.reports.render import rendered

    body = rendered(made, form)
    if output is None:
        if form == "pdf" and sys.stdout.isatty():
            raise errors.InvalidSettings("a PDF is nothing for a terminal: --output FILE")
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
        return
    with whole_file(output) as out:
        out.write(body)
    say(f"wrote {output} ({len(body):,} bytes)")


def list_(
    context: typer.Context,
    *,
    home: Annotated[str | None, typer.Option("--home", metavar="NAME", help="Only this home.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most reports.")] = 30,
    as_json: JsonFlag = False,
) -> None:
    """List the reports that were made, the newest first."""
    from ingestor import bootstrap, bootstrap_quality

    settings = settings_of(context)
    database = bootstrap.open_metadata(settings)
    kept = bootstrap_quality.open_report_shelf(settings, database).list(home=home, limit=limit)
    outbox = bootstrap_quality.open_outbox(settings, database)
    rows = [(one, delivery_objects(outbox.of(one.id))) for one in kept]
    database.dispose()
    if as_json:
        print_json([{**report_object(one), "deliveries": told} for one, told in rows])
        return
    print_table(_REPORT_COLUMNS, [[*_line(one), _delivered(told)] for one, told in rows])
    if not rows:
        say("no report was made yet: they are made by schedule (`reports.at`), or at once by `quality report`")


def _line(one: KeptReport) -> list[str]:
    from ingestor.reports.words import number, share

    figures = one.figures
    shares = [share(figures.get(f"{name}_share")) for name in ("context", "valid", "up")]
    counts = [number(figures.get(name)) for name in ("problems", "new_problems")]
    span = [moment_text(at_us * 1000) for at_us in (one.start_us, one.end_us)]
    return [one.id, *span, number(figures.get("score")), *shares, *counts]


def _delivered(told: list[dict[str, Any]]) -> str:
    return ", ".join(f"{one['road']}: {one['state']}" + (f" ({one['error']})" if one["error"] else "") for one in told)


def show(
    context: typer.Context,
    report_id: Annotated[str, typer.Argument(metavar="ID", help="As `quality reports list` names it.")],
    *,
    form: FormOption = None,
    output: OutputOption = None,
) -> None:
    """Print a report that was made, in any form."""
    from ingestor import bootstrap, bootstrap_quality

    settings = settings_of(context)
    database = bootstrap.open_metadata(settings)
    try:
        found = bootstrap_quality.open_report_shelf(settings, database).find(report_id)
    finally:
        database.dispose()
    _put_out(found, _form_of(form, output), output)


def alerts(
    context: typer.Context,
    *,
    home: Annotated[str | None, typer.Option("--home", metavar="NAME", help="Only this home.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most alerts.")] = 30,
    as_json: JsonFlag = False,
) -> None:
    """List the alerts that thresholds have raised (`reports.alerts`), the newest first."""
    from ingestor import bootstrap, bootstrap_quality
    from ingestor.reports.shelf import alert_parcel

    settings = settings_of(context)
    database = bootstrap.open_metadata(settings)
    found = bootstrap_quality.open_alert_book(settings, database).list(home=home, limit=limit)
    outbox = bootstrap_quality.open_outbox(settings, database)
    told = [delivery_objects(outbox.of(alert_parcel(one))) for one in found]
    database.dispose()
    fields = ("home", "name", "since_us", "over_us", "subject", "value", "sentence")
    if as_json:
        rows = [{name: getattr(one, name) for name in fields} for one in found]
        print_json([{**row, "deliveries": deliveries} for row, deliveries in zip(rows, told, strict=True)])
        return
    print_table(
        _ALERT_COLUMNS,
        [
            [
                one.home,
                one.name,
                moment_text(one.since_us * 1000),
                moment_text(one.over_us * 1000) if one.over_us else "",
                one.sentence,
                _delivered(deliveries),
            ]
            for one, deliveries in zip(found, told, strict=True)
        ],
    )
    if not found:
        say("no alert was raised" if settings.reports.alerts else "no threshold is set (`reports.alerts`)")
