"""Commands about data quality: the rules in their order, and what one would have done to the stored past."""
# ruff: noqa: PLC0415 -- the store is loaded when it is asked

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ingestor.cli import quality_noise, quality_reports, quality_scores
from ingestor.cli.event_options import parse_span
from ingestor.cli.events import moment_text
from ingestor.cli.options import HomeOption, JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, progress_bar, say
from ingestor.reading.quality import rule_objects

if TYPE_CHECKING:
    from ingestor.quality.tryout import Tried
    from ingestor.quality.user_rules import UserRule
    from ingestor.settings import Settings

_RULE_COLUMNS: Final = ("", "rule", "severity", "where", "fired", "why")
_ATTRIBUTE_COLUMNS: Final = ("domain", "attribute", "is", "entities", "looks", "changes", "bytes each")
_MOST_EVENTS: Final = 10_000_000


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(no_args_is_help=True, help="Data quality: rules, reports, alerts.")
    group.command()(rules)
    group.command(
        "try",
        epilog="Examples: `ha-ingestor quality try bounds --since 7d` · "
        '`ha-ingestor quality try \'kind = "dead-band", entities = ["sensor.*_power"], change = 5\'`',
    )(try_)
    group.command()(attributes)
    quality_noise.register(group)
    quality_reports.register(group)
    quality_scores.register(group)
    app.add_typer(group, name="quality", rich_help_panel="Reading")


def rules(context: typer.Context, *, as_json: JsonFlag = False) -> None:
    """List the rules in the order in which they are asked, with how often each has spoken."""
    settings = settings_of(context)
    rows = rule_objects(settings)
    if as_json:
        print_json(rows)
        return
    print_table(_RULE_COLUMNS, [[str(row[name]) for name in ("number", *_RULE_COLUMNS[1:])] for row in rows])


def try_(
    context: typer.Context,
    rule: Annotated[
        str,
        typer.Argument(
            metavar="RULE", help="Name of a rule, or a rule as in the settings: 'kind = \"bounds\", max = 50'."
        ),
    ],
    *,
    since: Annotated[str, typer.Option(metavar="AGE|TIME", help="30s, 10m, 1h, 2d, or an ISO time.")] = "1d",
    until: Annotated[str | None, typer.Option(metavar="AGE|TIME", help="As --since; default: now.")] = None,
    home: Annotated[str | None, typer.Option("--home", metavar="NAME", help="Only this home.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what a rule would have done to the stored states; changes nothing."""
    from ingestor.quality.naming import rule_named

    settings = settings_of(context)
    one = rule_named(rule, settings.quality)
    begin_ns, end_ns = parse_span(since, until)
    tried = _try(settings, one, home, begin_ns, end_ns)
    if as_json:
        print_json(_as_object(one, tried))
    else:
        _show(one, tried)


def _try(settings: Settings, one: UserRule, home: str | None, begin_ns: int, end_ns: int) -> Tried:
    from ingestor import bootstrap
    from ingestor.quality.gate import limits_of
    from ingestor.quality.tryout import try_rule
    from ingestor.storage.port import EventQuery

    query = EventQuery(
        entity=one.only_glob(), kind="state", home=home, since_ns=begin_ns, until_ns=end_ns, limit=_MOST_EVENTS
    )
    limits = limits_of(settings.quality, time.time_ns() // 1000 + int(settings.quality.future_s * 1_000_000))
    store = bootstrap.open_store(settings)
    try:
        with progress_bar("looking at stored states") as advance:

            def progress(tried: Tried) -> None:
                advance((end_ns - tried.reached_ns) / max(1, end_ns - begin_ns), f"{tried.looked:,} events")

            tried = try_rule(one, store, query, limits, progress)
            advance(1.0, f"{tried.looked:,} events")
            return tried
    finally:
        store.close()


def _as_object(one: UserRule, tried: Tried) -> dict[str, Any]:
    return {
        "rule": one.rule.name,
        "severity": one.rule.severity,
        "reason": one.rule.reason,
        "looked": tried.looked,
        "hits": tried.hits,
        "share": tried.share,
        "entities": dict(tried.by_entity.most_common(20)),
        "examples": [
            {name: getattr(example, name) for name in ("time_ns", "entity_id", "state", "unit", "detail", "becomes")}
            for example in tried.examples
        ],
    }


def _show(one: UserRule, tried: Tried) -> None:
    say(f"{one.rule.name} ({one.rule.severity}): {one.rule.reason}")
    names = len(tried.by_entity)
    whose = f", of {names:,} {'entity' if names == 1 else 'entities'}" if names else ""
    say(f"{tried.hits:,} of {tried.looked:,} stored states ({tried.share:.2%}){whose}")
    if (one.chosen.attribute or one.chosen.kind == "attributes") and not tried.with_attributes:
        say("no stored state has its attributes: storage.extra_fields has them stored from now on")
    if not tried.hits:
        return
    entities = [[name, f"{count:,}", f"{count / tried.hits:.1%}"] for name, count in tried.by_entity.most_common(10)]
    print_table(("entity", "states", "share"), entities)
    examples = [
        [
            moment_text(one.time_ns),
            one.entity_id,
            f"{one.state or ''} {one.unit or ''}".strip(),
            one.detail,
            one.becomes,
        ]
        for one in tried.examples
    ]
    print_table(("time", "entity", "state", "what the rule says", "would be"), examples)


def attributes(
    context: typer.Context,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Also those that change, or of which too little is known.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List the attributes that say nothing: learned from the states of a home, looked at every ten minutes."""
    from ingestor import bootstrap
    from ingestor.quality.attributes import LOOKS_OF_A_WEEK, attributes_of, to_leave_out
    from ingestor.quality.attributes_store import LearnedAttributes

    settings = settings_of(context)
    name = home_of(settings, home).name
    learned = LearnedAttributes(bootstrap.open_metadata(settings)).load(name)
    known = attributes_of(learned)
    quiet = to_leave_out(known)
    shown = [one for one in known if every or one.name in quiet.get(one.domain, ())]
    if as_json:
        print_json([one._asdict() for one in shown])
        return
    say(f"{name}: looked {learned.looks:,} times; after {LOOKS_OF_A_WEEK:,}, a week, what never changed is constant")
    left_out = settings.quality.leave_out_learned
    say("they are left out" if left_out else "they are kept: quality.leave_out_learned leaves them out")
    rows = [
        [one.domain, one.name, one.verdict, str(one.entities), str(one.looks), f"{one.changes:,}", f"{one.bytes:,}"]
        for one in shown
    ]
    print_table(_ATTRIBUTE_COLUMNS, rows)
