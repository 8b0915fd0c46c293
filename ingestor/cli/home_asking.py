"""Commands that ask the graph of a home: where things stand, who uses them, what they set off, what fails with them."""
# ruff: noqa: PLC0415 -- the database and networkx are loaded when the graph is asked

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingestor import bootstrap, errors
from ingestor.cli import home_told as told
from ingestor.cli.home_reading import At, at_us_of
from ingestor.cli.options import HomeOption, JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.wording import number_of

if TYPE_CHECKING:
    from ingestor.home.graph.model import HomeGraph
    from ingestor.home.traces.model import Failing

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


def tree(context: typer.Context, *, at: At = None, home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Show floors, areas, devices and entities, each in what it stands in."""
    from ingestor.home.graph import questions

    found = questions.tree(_graph(context, home, at))
    if as_json:
        print_json([told.branch_object(branch) for branch in found])
        return
    told.print_tree(found)


def related(
    context: typer.Context, thing: Thing, *, at: At = None, home: HomeOption = None, as_json: JsonFlag = False
) -> None:
    """Show all that is one step away from a thing: where it stands, where it comes from, who uses it."""
    from ingestor.home.graph import questions

    known = _graph(context, home, at)
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


def uses(
    context: typer.Context, thing: Thing, *, at: At = None, home: HomeOption = None, as_json: JsonFlag = False
) -> None:
    """Show every use of a thing, configured or observed: what would break if it were deleted or renamed."""
    from ingestor.home.graph import questions

    known = _graph(context, home, at)
    node = questions.find(known, thing)
    found = questions.uses(known, node.key)
    if as_json:
        answer = {
            "thing": node.key,
            "safe_to_delete": not found and not known.hidden and not known.undecided,
            "uses": [told.use_object(use) for use in found],
        }
        print_json({**answer, "hidden": known.hidden, "undecided": known.undecided})
        return
    rows = [[use.user, known.label(use.user), use.how, str(use.observed or ""), told.because(use)] for use in found]
    told.print_rows(
        rows,
        ("used by", "name", "how", "seen", "because"),
        f"nothing is known to use {node.key}: it can be deleted or renamed",
    )
    told.say_hidden(known)
    told.say_undecided(known)


def impact(
    context: typer.Context, thing: Thing, *, at: At = None, home: HomeOption = None, as_json: JsonFlag = False
) -> None:
    """Show what goes dark if a device, a hub or an integration fails, and which automations then lack something."""
    from ingestor.home.graph import questions

    known = _graph(context, home, at)
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
    say(told.impact_text(known, found))


def automations(
    context: typer.Context,
    automation: Annotated[
        str | None, typer.Argument(metavar="[AUTOMATION]", help="Only what this one sets off.")
    ] = None,
    *,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show which automation sets off which other one and in which order, which always fail, and what several write."""
    from ingestor.home.graph import automations as routines
    from ingestor.home.graph import questions

    known = _graph(context, home)
    if automation is not None:
        key = questions.find(known, automation, "automation", "script").key
        told.print_chains(routines.chains(known, key), key, as_json=as_json)
        return
    links, fights, order = routines.links(known), routines.conflicts(known), routines.order(known)
    failing, ran = _runs(context, home)
    unseen = [key for key in routines.never_seen(known) if key not in ran]
    never = [key for key in routines.never_ran(known) if key in unseen]
    if as_json:
        print_json(
            {
                "links": [told.link_object(link) for link in links],
                "order": order,
                "shared": [told.conflict_object(one) for one in fights],
                "always_fail": [told.failing_object(key, one) for key, one in failing.items()],
                "never_ran": never,
                "never_seen": unseen,
            }
        )
        return
    rows = [[link.source, link.by, link.state or "", link.target, str(link.observed or "")] for link in links]
    told.print_rows(rows, ("automation", "through", "state", "sets off", "seen"), "no automation sets off another one")
    if links:
        print_table(("order", "automation or script"), told.order_rows(order, links))
    if fights:
        shared = [[one.entity_id, "yes" if one.is_fight else "", told.writers(one)] for one in fights]
        print_table(("written by several", "against each other", "by"), shared)
    if failing:
        print_table(("always fails", "runs", "since", "at", "error"), told.failing_rows(failing))
    if never:
        say(f"never ran: {', '.join(never)}")
    if not_lately := [key for key in unseen if key not in never]:
        say(f"not seen to run since observation began: {', '.join(not_lately)}")
    told.say_hidden(known)


def cycles(context: typer.Context, *, at: At = None, home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Show automations that set each other off in a circle, those that were seen to do so first."""
    from ingestor.home.graph import automations as routines

    known = _graph(context, home, at)
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
    at: At = None,
    home: HomeOption = None,
) -> None:
    """Print the graph for other tools: Gephi and yEd read GraphML, Graphviz DOT, Markdown pages Mermaid."""
    from ingestor.home.graph import export, questions

    if form not in export.FORMATS:
        raise typer.BadParameter(f"{form!r} is none of {', '.join(export.FORMATS)}", param_hint="--format")
    known = _graph(context, home, at)
    if of is not None:
        key = questions.find(known, of).key
        known = export.part(known, {key, *questions.around(known, key)})
    text = export.FORMATS[form](known)
    if form == "mermaid" and export.is_too_large_for_pages(known, text):
        say(f"Most pages draw no more than {export.MERMAID_EDGES} edges of Mermaid: choose a part by --of THING.")
    if output is None:
        typer.echo(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise errors.IngestorError(f"{output}: {error.strerror}") from error
    say(f"{number_of(len(known), 'node')} and {number_of(len(known.edges()), 'edge')} in {output}")


# -- what is asked -----------------------------------------------------------------------------------------


def _runs(context: typer.Context, name: str | None) -> tuple[dict[str, Failing], set[str]]:
    """Return by entity_id what fails in each of its newest runs, and what has run at all."""
    from ingestor.home.traces.sync import item_ids

    settings = settings_of(context)
    home = home_of(settings, name).name
    database = bootstrap.open_metadata(settings)
    kept, objects = bootstrap.open_traces(settings, database), bootstrap.open_objects(settings, database)
    entity_ids = {item: entity_id for entity_id, item in item_ids(objects, home).items()}
    failing = {entity_ids[one.item]: one for one in kept.failing(home) if one.item in entity_ids}
    return failing, {entity_ids[item] for item in kept.items(home) if item in entity_ids}


def _graph(context: typer.Context, name: str | None, at: str | None = None) -> HomeGraph:
    """Build the graph of a home as it is, or as it was: then of its objects alone, since counts have no past."""
    from ingestor.home.graph.ready import ready_graph

    settings = settings_of(context)
    home = home_of(settings, name).name
    database = bootstrap.open_metadata(settings)
    at_us = at_us_of(at)
    objects = bootstrap.open_objects(settings, database).load(home, at_us=at_us)
    if not objects and at_us is not None:
        raise errors.NotFound(f"nothing is known of the home {home!r} at that time")
    if not objects:
        raise errors.NotFound(
            f"nothing is known of the home {home!r} yet: `ha-ingestor up` reads it as soon as Home Assistant answers"
        )
    if at_us is not None:
        say("as it was then; what was seen to happen is left out")
        return ready_graph(home, objects)
    return ready_graph(home, objects, bootstrap.open_observed(settings, database).load(home))
