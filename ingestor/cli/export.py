"""The command `export`: stored events as a file, in a form that other tools read."""
# ruff: noqa: PLC0415 -- the store is loaded when it is asked

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, Final

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
from ingestor.cli.export_jobs import make_by_job
from ingestor.cli.files import whole_file
from ingestor.cli.options import settings_of
from ingestor.cli.output import progress_bar, say
from ingestor.export.files import PACKERS, file_of
from ingestor.export.form import Form
from ingestor.export.forms import FORMS
from ingestor.export.reading import portions
from ingestor.storage.port import EventQuery
from ingestor.wording import number_of

_ALL: Final = 2**62
_MB: Final = 1_000_000

FormName = StrEnum("FormName", {name: name for name in FORMS})  # type: ignore[misc] # the names are kept in one place
Packed = StrEnum("Packed", {name: name for name in PACKERS})  # type: ignore[misc] # likewise


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        rich_help_panel="Reading",
        epilog="Examples: `ha-ingestor export parquet --since 30d --output month.parquet` · "
        "`ha-ingestor export csv --entity 'sensor.*_temperature' --since 2026-11-01 | head` · "
        "`ha-ingestor export ndjson --compress zstd --output all.ndjson.zst`",
    )(export)


def export(
    context: typer.Context,
    form: Annotated[FormName, typer.Argument(metavar="FORM", help=f"One of {', '.join(FORMS)}.")],
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to; default: standard output.")
    ] = None,
    entity: EntityOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    event_type: TypeOption = None,
    kind: KindOption = None,
    home: OnlyHomeOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most events; default: all.")] = None,
    compress: Annotated[
        Packed | None, typer.Option(help="Pack the file; Parquet and Avro are packed as they are.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    job: Annotated[
        bool, typer.Option("--job", help="Have a worker of the running `up` make it, which may be restarted meanwhile.")
    ] = False,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What the file of a job is called.")] = None,
    patience_s: Annotated[
        float,
        typer.Option("--patience", min=1, metavar="SECONDS", help="With --job: give up when nothing moves so long."),
    ] = 60.0,
) -> None:
    """Write stored events to a file, oldest first: every form has the same columns (docs/reference/exports.md)."""
    query = query_from(
        entity=entity, since=since, until=until, event_type=event_type, kind=kind, home=home, limit=limit or _ALL
    )
    query = replace(query, until_ns=query.until_ns or time.time_ns())
    chosen, packed = FORMS[form.value], compress.value if compress else None
    if job:
        ready = make_by_job(context, query, form=form.value, packed=packed, name=name, patience_s=patience_s)
        if output is None:
            say(f"{ready}: kept for a time; `ha-ingestor exports` lists such files")
            return
    with _opened(output, chosen, packed=compress is not None, force=force) as out:
        if job:
            with ready.open("rb") as made:
                shutil.copyfileobj(made, out)
            return
        _export(context, query, chosen, out, packed=packed, where=output)


def _export(
    context: typer.Context, query: EventQuery, form: Form, out: BinaryIO, *, packed: str | None, where: Path | None
) -> None:
    from ingestor import bootstrap

    store = bootstrap.open_store(settings_of(context))
    began_s, size, events = time.monotonic(), 0, 0
    try:
        with progress_bar("exporting") as move:
            share = _Share(query, move)
            for piece in file_of(share.of(portions(store, query)), form, packed=packed):
                out.write(piece)
                size += len(piece)
            events = share.events
    finally:
        store.close()
    took = f"{size / _MB:.1f} MB, {time.monotonic() - began_s:.1f} s"
    say(f"{number_of(events, 'event')} in {where or 'standard output'} ({took})")


class _Share:
    """Counts the events that pass, and tells how far in time they have come."""

    def __init__(self, query: EventQuery, move: Callable[[float, str], None]) -> None:
        self.events = 0
        self._from_ns = query.since_ns
        self._until_ns = query.until_ns or time.time_ns()
        self._move = move

    def of(self, found: Iterator[list]) -> Iterator[list]:  # type: ignore[type-arg] # whatever passes
        for events in found:
            if self._from_ns is None:
                self._from_ns = events[0].time_ns
            yield events
            self.events += len(events)
            whole = max(self._until_ns - self._from_ns, 1)
            self._move((events[-1].time_ns - self._from_ns) / whole, f"{self.events:,} events")


@contextmanager
def _opened(output: Path | None, form: Form, *, packed: bool, force: bool) -> Iterator[BinaryIO]:
    """Yield what to write to. A file gets its name when it is whole: one that is cut off is not taken for all."""
    if output is None:
        if sys.stdout.isatty() and (packed or not form.is_text):
            raise typer.BadParameter(f"{form.name} is nothing for a terminal: say --output FILE, or pipe it")
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # Who reads us (`head`) has enough. Python would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if output.exists() and not force:
        raise typer.BadParameter(f"{output} is there already: --force replaces it")
    with whole_file(output) as out:
        yield out
