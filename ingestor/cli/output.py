"""How commands print: data on standard output, as a table or as JSON; talk on standard error."""
# ruff: noqa: PLC0415 -- rich takes 15 MB; only a command that prints a table loads it

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import typer

if TYPE_CHECKING:
    from rich.console import RenderableType


def say(sentence: str) -> None:
    """Tell the operator something that is no data."""
    typer.echo(sentence, err=True)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())


def print_json_line(value: Any) -> None:
    """Print one JSON object on one line."""
    typer.echo(orjson.dumps(value, default=str).decode())


def make_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> RenderableType:
    """Return a table. Text is shown as it is: a `[` in it is no markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a table; as wide as its content where standard output is no terminal."""
    from rich.console import Console

    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 250).print(make_table(columns, rows, title))
