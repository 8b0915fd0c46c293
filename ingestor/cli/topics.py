"""The command `topics`: what MQTT listeners have heard, and what MQTT out publishes."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from ingestor import bootstrap
from ingestor.cli.options import JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.queue.topics_board import OUT
from ingestor.reading.mqtt import topics_object
from ingestor.reading.outgoing import line_state
from ingestor.wording import number_of

_SEEN: Final = ("topic", "kind", "messages", "last", "home", "listener")
_PUBLISHED: Final = ("topic", "kind", "messages")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        rich_help_panel="Reading",
        epilog="Examples: `ha-ingestor topics --limit 20` · `ha-ingestor topics --home cabin --json`",
    )(topics)


def topics(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="Most topics that were heard.")] = 100,
    home: Annotated[str | None, typer.Option("--home", metavar="NAME", help="Only this home.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Print the MQTT topics that listeners have heard, those with most messages first, and those that we publish.

    As of some seconds ago. With --json the object of GET /api/v1/mqtt/topics.
    """
    settings = settings_of(context)
    wanted = home_of(settings, home).name if home else None
    board = bootstrap.open_topics_board(settings).read()
    told = topics_object(board, wanted, limit)
    if as_json:
        print_json(told)
        return
    if told["seen"]:
        print_table(_SEEN, map(_seen_row, told["seen"]), title="heard")
    if told["published"]:
        print_table(_PUBLISHED, map(_published_row, told["published"]), title="published")
    say(_words(told))
    if settings.mqtt_out.url:
        say(f"MQTT out: {line_state(board.get(OUT)).says}")


def _seen_row(one: dict[str, Any]) -> list[str]:
    return [one["topic"], one["kind"], f"{one['count']:,}", one["last"][:19], one["home"], one["listener"]]


def _published_row(one: dict[str, Any]) -> list[str]:
    return [one["topic"], one["kind"], "" if one["count"] is None else f"{one['count']:,}"]


def _words(told: dict[str, Any]) -> str:
    words = number_of(told["seen_in_all"], "topic") + " heard"
    if left := told["seen_in_all"] - len(told["seen"]):
        words += f", {left:,} not shown (--limit)"
    if other := told["other_messages"]:
        words += f"; {number_of(other, 'message')} on further topics"
    return words
