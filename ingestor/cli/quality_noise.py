"""`ha-ingestor quality noise`: what stores much and says little, and what could be left out; changes nothing."""
# ruff: noqa: PLC0415 -- the store and the graph are loaded when they are asked

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ingestor.cli.event_options import parse_span
from ingestor.cli.options import HomeOption, JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, progress_bar, say
from ingestor.wording import number_of

if TYPE_CHECKING:
    from ingestor.quality.noise import Measured
    from ingestor.quality.noise_proposals import Proposal, Proposed
    from ingestor.settings import Settings
    from ingestor.storage.port import EventQuery, Store

_MOST_EVENTS: Final = 100_000_000
#: Who would miss an entity that is left out.
_USERS: Final = frozenset(("automation", "script", "scene", "helper", "entity"))
_ENTITY_COLUMNS: Final = (
    *("entity", "integration", "points", "bytes", "of all", "distinct", "bits each", "bits", "repeats", "in its noise"),
)
_PROPOSAL_COLUMNS: Final = ("entity", "leave out", "points", "bytes", "of its own", "at most off by", "why")


class ConfigFor(StrEnum):
    """Whose settings to print."""

    RECORDER = "recorder"
    INGESTOR = "ingestor"


@dataclass(frozen=True, slots=True)
class _Report:
    measured: Measured
    proposed: Proposed

    @property
    def everyone(self) -> list[str]:
        return [one.entity_id for one in self.measured.entities]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the map says: the integration of each entity, and who goes by it."""

    integrations: Mapping[str, str]
    users: Callable[[str], list[str]]


def register(group: typer.Typer) -> None:
    """Add the command to the group `quality`."""
    group.command(
        epilog="Examples: `ha-ingestor quality noise --since 7d --top 30` · "
        "`ha-ingestor quality noise --yaml recorder >> configuration.yaml`"
    )(noise)


def noise(
    context: typer.Context,
    *,
    since: Annotated[str, typer.Option(metavar="AGE|TIME", help="30s, 10m, 1h, 2d, or an ISO time.")] = "1d",
    until: Annotated[str | None, typer.Option(metavar="AGE|TIME", help="As --since; default: now.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many entities and proposals to show.")] = 20,
    config: Annotated[
        ConfigFor | None,
        typer.Option("--yaml", help="Print only what is proposed: YAML for the recorder, TOML for our settings file."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what stores much and says little, and what leaving it out would save and lose; changes nothing."""
    settings = settings_of(context)
    name = home_of(settings, home).name
    report = _look(settings, name, parse_span(since, until))
    if config is not None:
        _print_config(report, config)
    elif as_json:
        print_json(_as_object(report, top))
    else:
        _show(report, top)


def _look(settings: Settings, home: str, span: tuple[int, int]) -> _Report:
    """Stream the stored states twice: to measure, then to try what is proposed."""
    from ingestor import bootstrap
    from ingestor.quality.noise import measure
    from ingestor.quality.noise_proposals import candidates
    from ingestor.storage.port import EventQuery

    query = EventQuery(kind="state", home=home, since_ns=span[0], until_ns=span[1], limit=_MOST_EVENTS)
    known = _known(settings, home)
    store = bootstrap.open_store(settings)
    try:
        with progress_bar("looking at stored states") as advance:

            def measuring(measured: Measured) -> None:
                advance(_part(span, measured.reached_ns) / 2, f"{measured.points:,} points")

            measured = measure(store, query, known.integrations, measuring)
            proposed = _try(settings, store, query, candidates(measured, known.users), advance)
            advance(1.0, f"{measured.points:,} points")
            return _Report(measured, proposed)
    finally:
        store.close()


def _try(
    settings: Settings,
    store: Store,
    query: EventQuery,
    tried: Sequence[Proposal],
    advance: Callable[[float, str], None],
) -> Proposed:
    from ingestor.quality.gate import limits_of
    from ingestor.quality.noise_proposals import simulate

    span = (query.since_ns or 0, query.until_ns or 0)

    def trying(points: int, reached_ns: int) -> None:
        advance(0.5 + _part(span, reached_ns) / 2, f"{points:,} points, {number_of(len(tried), 'proposal')}")

    return simulate(tried, store, query, limits_of(settings.quality, span[1] // 1000), trying)


def _part(span: tuple[int, int], reached_ns: int) -> float:
    return (span[1] - reached_ns) / max(1, span[1] - span[0])


def _known(settings: Settings, home: str) -> _Known:
    """Return what the home's map says of entities; nothing, and a word about it, where none was read."""
    from ingestor import bootstrap
    from ingestor.home.graph.build import build_graph
    from ingestor.home.graph.questions import uses

    database = bootstrap.open_metadata(settings)
    objects = bootstrap.open_objects(settings, database).load(home)
    if not objects:
        say(f"nothing is known of the home {home!r} yet: who uses an entity cannot be told")
        return _Known({}, lambda _entity_id: [])
    graph = build_graph(home, objects, bootstrap.open_observed(settings, database).load(home))

    def users(entity_id: str) -> list[str]:
        if entity_id not in graph:
            return []
        return sorted({use.user for use in uses(graph, entity_id) if graph.node(use.user).kind in _USERS})

    rows = objects.get("entity", {})
    platforms = {str(row.get("entity_id", key)): str(row.get("platform") or "") for key, row in rows.items()}
    return _Known(platforms, users)


def _print_config(report: _Report, config: ConfigFor) -> None:
    from ingestor.quality import noise_config

    make = noise_config.recorder_yaml if config is ConfigFor.RECORDER else noise_config.settings_toml
    typer.echo(make(report.proposed, report.everyone), nl=False)


def _as_object(report: _Report, top: int) -> dict[str, Any]:
    from ingestor.quality.noise_proposals import saved

    measured, proposed = report.measured, report.proposed
    return {
        "points": measured.points,
        "bytes": measured.bytes,
        "saved": saved(proposed.chosen, measured),
        "integrations": [
            dict(zip(("integration", "entities", "points", "bytes", "distinct", "bits"), row, strict=True))
            for row in measured.by_integration()
        ],
        "entities": [_entity_object(one) for one in measured.entities[:top]],
        "proposals": [_proposal_object(one) for one in [*proposed.chosen, *proposed.used][:top]],
    }


def _entity_object(one: Any) -> dict[str, Any]:
    names = ("entity_id", "integration", "points", "bytes", "distinct", "bits_per_event", "bits", "repeats")
    return {name: getattr(one, name) for name in (*names, "within_noise", "own_noise", "low", "high", "unit")}


def _proposal_object(one: Proposal) -> dict[str, Any]:
    names = ("kind", "change", "why", "used_by", "points", "bytes", "share", "largest_deviation")
    return {"entity_id": one.noise.entity_id} | {name: getattr(one, name) for name in names}


def _show(report: _Report, top: int) -> None:
    from ingestor.quality.noise_proposals import saved

    measured, proposed = report.measured, report.proposed
    say(f"{measured.points:,} stored states, {measured.bytes:,} bytes as line protocol, before the store packs them")
    rows = [
        [
            name,
            f"{entities:,}",
            f"{points:,}",
            f"{size:,}",
            f"{size / max(1, measured.bytes):.1%}",
            f"{distinct:,}",
            f"{bits:,.0f}",
        ]
        for name, entities, points, size, distinct, bits in measured.by_integration()[:top]
    ]
    print_table(("integration", "entities", "points", "bytes", "of all", "distinct", "bits"), rows)
    print_table(_ENTITY_COLUMNS, [_entity_row(one, measured.bytes) for one in measured.entities[:top]])
    if not proposed.chosen and not proposed.used:
        say("there is nothing that could be left out")
        return
    shown = [*proposed.chosen, *proposed.used][:top]
    print_table(_PROPOSAL_COLUMNS, [_proposal_row(one) for one in shown])
    all_of_it = saved(proposed.chosen, measured)
    say(
        f"{number_of(len(proposed.chosen), 'proposal')} would have saved {all_of_it['points']:,} points"
        f" ({all_of_it['points_share']:.1%}) and {all_of_it['bytes']:,} bytes ({all_of_it['bytes_share']:.1%})"
    )
    if proposed.used:
        say(f"{number_of(len(proposed.used), 'entity')} left alone: something in the home goes by them")
    say("--yaml recorder, --yaml ingestor: the proposals as settings")


def _entity_row(one: Any, all_bytes: int) -> list[str]:
    return [
        one.entity_id,
        one.integration,
        f"{one.points:,}",
        f"{one.bytes:,}",
        f"{one.bytes / max(1, all_bytes):.1%}",
        str(one.distinct),
        f"{one.bits_per_event:.2f}",
        f"{one.bits:,.0f}",
        f"{one.repeat_share:.0%}",
        f"{one.within_noise:.0%}",
    ]


def _proposal_row(one: Proposal) -> list[str]:
    unit = one.noise.unit
    what = "all" if one.change is None else f"changes below {one.change:g} {unit}".rstrip()
    off = "nothing is left" if one.kind == "exclude" else f"{one.largest_deviation or 0:.3g} {unit}".rstrip()
    why = f"{one.why}; kept, as {', '.join(one.used_by)} uses it" if one.used_by else one.why
    return [one.noise.entity_id, what, f"{one.points:,}", f"{one.bytes:,}", f"{one.share:.0%}", off, why]
