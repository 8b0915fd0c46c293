"""How commands print: data on standard output, as a table or as JSON; talk on standard error."""
# ruff: noqa: PLC0415 -- rich takes 15 MB; only a command that prints a table loads it

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import orjson
import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Rows of a table that is printed as it comes; and signs to which its columns are filled up.
_LONG: Final = 100
_WIDEST: Final = 80
_CONTROLS: Final = dict.fromkeys((*range(32), *range(127, 160)), " ")


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


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float, str], None]]:
    """Show a bar on standard error, where that is a terminal. Yield what moves it: a share from 0 to 1, and a text."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(title), BarColumn(), TextColumn("{task.percentage:3.0f}% {task.description}"))
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=1.0)
        yield lambda share, text: shown.update(task, completed=share, description=text)


def shown(text: str) -> str:
    """Return text on one line, without what would move a terminal's cursor."""
    return text if text.isprintable() else text.translate(_CONTROLS)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a table; as wide as its content where standard output is no terminal, or where it is a long one."""
    rows = list(rows)
    if len(rows) > _LONG:
        typer.echo("\n".join(_plain_lines(columns, rows, title)))
        return
    from rich.console import Console

    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 250).print(make_table(columns, rows, title))


def _plain_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None) -> Iterator[str]:
    """Yield the lines of a long table; fitting a thousand rows to a terminal's width takes rich most of a second."""
    cells = [[shown(cell) for cell in row] for row in (columns, *rows)]
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*cells, strict=True)]
    head, *body = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)
    yield from ([title] if title else [])
    yield from (head, "─" * (sum(widths) + 2 * len(widths) - 2), *body)
