"""Commands about quality over time: scores with their reasons, one entity, problems; changes nothing."""
# ruff: noqa: PLC0415 -- the database is loaded when it is asked

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ingestor.cli.event_options import parse_time
from ingestor.cli.events import moment_text
from ingestor.cli.options import HomeOption, JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.quality.model import Scope
from ingestor.reading.quality import score_object

if TYPE_CHECKING:
    from ingestor.quality.book_sql import SqlQualityBook
    from ingestor.quality.hours import HourFacts
    from ingestor.quality.model import Problem, Score

_SCORE_COLUMNS: Final = ("scope", "subject", "score", "worst part", "because")
_PART_COLUMNS: Final = ("part", "score", "weight", "because")
_PROBLEM_COLUMNS: Final = ("problem", "scope", "subject", "since", "until", "times", "evidence", "what to do")
_SHOWN: Final = 40
SinceOption = Annotated[str, typer.Option("--since", metavar="AGE|TIME", help="24h, 7d, or an ISO time.")]
Span = tuple[int, int]


def register(group: typer.Typer) -> None:
    """Add the commands to the group `quality`."""
    group.command(epilog="Example: `ha-ingestor quality scores --scope entity --since 7d`")(scores)
    group.command(epilog="Example: `ha-ingestor quality entity sensor.kitchen_temperature`")(entity)
    group.command(epilog="Example: `ha-ingestor quality problems --since 30d`")(problems)


def scores(
    context: typer.Context,
    *,
    scope: Annotated[Scope | None, typer.Option(help="Only these.")] = None,
    since: SinceOption = "24h",
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List the scores of the home, its areas, integrations, devices and entities, and what each lacks most."""
    name, book, span = _opened(context, home, since)
    found = [one for one in book.scores(name, *span) if scope in (None, one.scope)]
    if as_json:
        print_json([score_object(one) for one in found])
        return
    rows = sorted((one for one in found if one.score is not None), key=lambda one: (one.score or 0, one.subject))
    if scope is None:
        rows = [one for one in rows if one.scope is not Scope.ENTITY]
    print_table(_SCORE_COLUMNS, [_score_row(one) for one in rows[:_SHOWN]])
    _say_judged(book, name, len(rows) - _SHOWN)


def entity(
    context: typer.Context,
    entity_id: Annotated[str, typer.Argument(metavar="ENTITY", help="Its entity_id.")],
    *,
    since: SinceOption = "7d",
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show how good an entity is: its score part by part with the reason of each, its hours and its problems."""
    name, book, span = _opened(context, home, since)
    subjects = book.load(name).subjects
    series = next((key for key, one in subjects.items() if one.entity_id == entity_id), entity_id)
    score = next((one for one in book.scores(name, *span) if one.subject == series), None)
    troubles = [one for one in book.problems(name, *span) if one.subject == series]
    hours = book.facts(name, series, *span)
    if as_json:
        last = _facts_object(hours[-1]) if hours else None
        print_json(
            {
                "entity_id": entity_id,
                "series": series,
                "score": score_object(score) if score else None,
                "problems": [_problem_object(one) for one in troubles],
                "hours": len(hours),
                "last_hour": last,
            }
        )
        return
    if score is None:
        say(f"nothing is known of {entity_id} in this time")
        return
    say(f"{entity_id}: {_number(score.score)} of 100, from {len(hours)} hours")
    print_table(
        _PART_COLUMNS, [[one.dimension, _number(one.score), f"{one.weight:g}", one.explanation] for one in score.parts]
    )
    if troubles:
        print_table(_PROBLEM_COLUMNS, [_problem_row(one) for one in troubles])


def problems(
    context: typer.Context,
    *,
    since: SinceOption = "7d",
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List the problems that were there in this time, the worst first: what is wrong, since when, what to do."""
    name, book, span = _opened(context, home, since)
    found = book.problems(name, *span)
    if as_json:
        print_json([_problem_object(one) for one in found])
        return
    print_table(_PROBLEM_COLUMNS, [_problem_row(one) for one in found[:_SHOWN]])
    _say_judged(book, name, len(found) - _SHOWN)


def _opened(context: typer.Context, home: str | None, since: str) -> tuple[str, SqlQualityBook, Span]:
    from ingestor import bootstrap_quality

    settings = settings_of(context)
    now_ns = time.time_ns()
    span = (parse_time(since, now_ns) // 1000, now_ns // 1000)
    return home_of(settings, home).name, bootstrap_quality.open_quality_book(settings), span


def _say_judged(book: SqlQualityBook, home: str, more: int) -> None:
    if more > 0:
        say(f"… and {more} more (--json has all)")
    until_us = book.homes().get(home)
    say(f"judged up to {moment_text(until_us * 1000)}" if until_us else "no hour of this home is judged yet")


def _score_row(score: Score) -> list[str]:
    judged = [part for part in score.parts if part.score is not None]
    worst = min(judged, key=lambda part: part.score or 0.0)
    if worst.score == 100:  # noqa: PLR2004 -- nothing is lacking
        return [score.scope, score.subject, _number(score.score), "", ""]
    return [score.scope, score.subject, _number(score.score), worst.dimension, worst.explanation]


def _problem_row(problem: Problem) -> list[str]:
    until = "" if problem.until_us is None else moment_text(problem.until_us * 1000)
    since = moment_text(problem.since_us * 1000)
    what = [problem.kind, problem.scope, problem.subject, since, until, str(problem.count)]
    return [*what, problem.evidence, problem.advice]


def _problem_object(problem: Problem) -> dict[str, Any]:
    return {
        **asdict(problem),
        "since": moment_text(problem.since_us * 1000),
        "until": None if problem.until_us is None else moment_text(problem.until_us * 1000),
    }


def _facts_object(facts: HourFacts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in facts.__struct_fields__}


def _number(score: float | None) -> str:
    return "-" if score is None else f"{score:.1f}"
