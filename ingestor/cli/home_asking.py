"""Commands that ask the graph of a home: where things stand, who uses them, what they set off, what fails with them."""
# ruff: noqa: PLC0415 -- the database and networkx are loaded when the graph is asked

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingestor import bootstrap, errors
from ingestor.cli import home_told as told
from ingestor.cli.options import HomeOption, JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.wording import number_of

if TYPE_CHECKING:
    from ingestor.home.graph.model import HomeGraph

Thing = Annotated[str, typer.Argument(metavar="THING", help="An entity_id, a name, or kind:id as `related` prints it.")]


def register(group: typer.Typer) -> None:
    """Add the commands to the group `home`."""
    group.command("tree")(tree)
    group.command("related")(related)
    group.command("uses")(uses)
    group.command("impact")(impact)
    group.command("automations")(automations)
    group.command("cycles")(cycles)
    group.command("graph")(graph)


def tree(context: typer.Context, *, home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Show floors, areas, devices and entities, each in what it stands in."""
    from ingestor.home.graph import questions

    found = questions.tree(_graph(context, home))
    if as_json:
        print_json([told.branch_object(branch) for branch in found])
        return
    told.print_tree(found)


def related(context: typer.Context, thing: Thing, *, home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Show all that is one step away from a thing: where it stands, where it comes from, who uses it."""
    from ingestor.home.graph import questions

    known = _graph(context, home)
    node = questions.find(known, thing)
    found = questions.related(known, node.key)
    if as_json:
        around = sorted(questions.around(known, node.key))
        print_json(
            {
                "thing": node.key,
                "related": [told.use_object(use) for one in found.values() for use in one],
                "around": around,
            }
        )
        return
    rows = [
        [kind, use.user, known.label(use.user), use.how, told.because(use)]
        for kind, one in found.items()
        for use in one
    ]
    told.print_rows(
        rows, ("kind", "what", "name", "edge", "because"), f"{node.key} is related to nothing that is known"
    )


def uses(context: typer.Context, thing: Thing, *, home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Show every use of a thing, configured or observed: what would break if it were deleted or renamed."""
    from ingestor.home.graph import questions

    known = _graph(context, home)
    node = questions.find(known, thing)
    found = questions.uses(known, node.key)
    if as_json:
        answer = {
            "thing": node.key,
            "safe_to_delete": not found and not known.hidden,
            "uses": [told.use_object(use) for use in found],
        }
        print_json({**answer, "hidden": known.hidden})
        return
    rows = [[use.user, known.label(use.user), use.how, str(use.observed or ""), told.because(use)] for use in found]
    told.print_rows(
        rows,
        ("used by", "name", "how", "seen", "because"),
        f"nothing is known to use {node.key}: it can be deleted or renamed",
    )
    told.say_hidden(known)


def impact(context: typer.Context, thing: Thing, *, home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Show what goes dark if a device, a hub or an integration fails, and which automations then lack something."""
    from ingestor.home.graph import questions

    known = _graph(context, home)
    node = questions.find(known, thing)
    found = questions.impact(known, node.key)
    if as_json:
        affected = {user: [told.use_object(use) for use in one] for user, one in found.affected.items()}
        seen = [told.edge_object(edge) for edge in found.seen]
        print_json({"failed": node.key, "dark": found.dark, "affected": affected, "seen_lost_with_it": seen})
        return
    rows = [[known.node(key).kind, key, known.label(key), " → ".join(path)] for key, path in found.dark.items()]
    told.print_rows(rows, ("kind", "goes dark", "name", "because of"), f"nothing goes dark with {node.key}")
    if found.affected:
        lacks = [[user, known.label(user), told.lacking(one)] for user, one in found.affected.items()]
        print_table(("affected", "name", "lacks"), lacks)
    if found.seen:
        rows = [[edge.target, known.label(edge.target), edge.source, told.evidence_text(edge)] for edge in found.seen]
        print_table(("was lost with it", "name", "after", "seen"), rows)
    say(f"{number_of(len(found.dark), 'thing')} dark, {number_of(len(found.affected), 'routine')} affected")


def automations(
    context: typer.Context,
    automation: Annotated[
        str | None, typer.Argument(metavar="[AUTOMATION]", help="Only what this one sets off.")
    ] = None,
    *,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show which automation sets off which other one, and which entities several of them write."""
    from ingestor.home.graph import automations as routines
    from ingestor.home.graph import questions

    known = _graph(context, home)
    if automation is not None:
        key = questions.find(known, automation, "automation", "script").key
        told.print_chains(routines.chains(known, key), key, as_json=as_json)
        return
    links, fights = routines.links(known), routines.conflicts(known)
    never = routines.never_seen(known)
    if as_json:
        print_json(
            {
                "links": [told.link_object(link) for link in links],
                "order": routines.order(known),
                "shared": [told.conflict_object(one) for one in fights],
                "never_seen": never,
            }
        )
        return
    rows = [[link.source, link.by, link.state or "", link.target, str(link.observed or "")] for link in links]
    told.print_rows(rows, ("automation", "through", "state", "sets off", "seen"), "no automation sets off another one")
    if fights:
        shared = [[one.entity_id, "yes" if one.is_fight else "", told.writers(one)] for one in fights]
        print_table(("written by several", "against each other", "by"), shared)
    if never:
        say(f"not seen to run since observation began: {', '.join(never)}")
    told.say_hidden(known)


def cycles(context: typer.Context, *, home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Show automations that set each other off in a circle, those that were seen to do so first."""
    from ingestor.home.graph import automations as routines

    known = _graph(context, home)
    found = routines.cycles(known)
    if as_json:
        print_json([told.cycle_object(cycle) for cycle in found])
        return
    rows = [[told.circle(cycle), " → ".join(link.by for link in cycle.links), told.times(cycle)] for cycle in found]
    told.print_rows(rows, ("circle", "through", "seen"), "no automations set each other off in a circle")
    told.say_hidden(known)


def graph(
    context: typer.Context,
    *,
    form: Annotated[str, typer.Option("--format", help="json, graphml, dot or mermaid.")] = "json",
    of: Annotated[str | None, typer.Option(metavar="THING", help="Only this thing and what is around it.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; default: standard output.")] = None,
    home: HomeOption = None,
) -> None:
    """Print the graph for other tools: Gephi and yEd read GraphML, Graphviz DOT, Markdown pages Mermaid."""
    from ingestor.home.graph import export, questions

    if form not in export.FORMATS:
        raise typer.BadParameter(f"{form!r} is none of {', '.join(export.FORMATS)}", param_hint="--format")
    known = _graph(context, home)
    if of is not None:
        key = questions.find(known, of).key
        known = export.part(known, {key, *questions.around(known, key)})
    text = export.FORMATS[form](known)
    if output is None:
        typer.echo(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise errors.IngestorError(f"{output}: {error.strerror}") from error
    say(f"{number_of(len(known), 'node')} and {number_of(len(known.edges()), 'edge')} in {output}")


# -- what is asked -----------------------------------------------------------------------------------------


def _graph(context: typer.Context, name: str | None) -> HomeGraph:
    from ingestor.home.graph.build import build_graph

    settings = settings_of(context)
    home = home_of(settings, name).name
    database = bootstrap.open_metadata(settings)
    objects = bootstrap.open_objects(settings, database).load(home)
    if not objects:
        raise errors.NotFound(
            f"nothing is known of the home {home!r} yet: `ha-ingestor up` reads it as soon as Home Assistant answers"
        )
    return build_graph(home, objects, bootstrap.open_observed(settings, database).load(home))
