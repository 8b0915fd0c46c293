"""The command `export`: stored events as a file, in a form that other tools read."""
# ruff: noqa: PLC0415 -- the store is loaded when it is asked

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer

from ingestor import errors
from ingestor.cli.events import Kind, parse_time
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
    entity: Annotated[str | None, typer.Option(metavar="GLOB", help="Entity id, with * and ?.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="AGE|TIME", help="30s, 10m, 1h, 2d, or an ISO time; default: any.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="AGE|TIME", help="As --since; default: now.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", metavar="GLOB", help="Event type, with * and ?.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="state: state changes only; event: all else.")] = None,
    home: Annotated[str | None, typer.Option("--home", metavar="NAME", help="Only this home.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most events; default: all.")] = None,
    compress: Annotated[
        Packed | None, typer.Option(help="Pack the file; Parquet and Avro are packed as they are.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
) -> None:
    """Write stored events to a file, oldest first: every form has the same columns (docs/reference/exports.md)."""
    now_ns = time.time_ns()
    query = EventQuery(
        entity=entity,
        event_type=event_type,
        kind=kind.value if kind else None,
        home=home,
        since_ns=parse_time(since, now_ns) if since else None,
        until_ns=parse_time(until, now_ns) if until else now_ns,
        limit=limit or _ALL,
    )
    chosen = FORMS[form.value]
    with _opened(output, chosen, packed=compress is not None, force=force) as out:
        _export(context, query, chosen, out, packed=compress.value if compress else None, where=output)


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
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(output)
    except OSError as error:
        raise errors.Fatal(f"cannot write {output}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
