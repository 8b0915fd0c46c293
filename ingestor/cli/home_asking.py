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
from ingestor.reading import graph as reading
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
        print_json([reading.branch_object(branch) for branch in found])
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
        print_json(reading.related_object(node.key, found, questions.around(known, node.key)))
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
        print_json(reading.uses_object(known, node.key, found))
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
        print_json(reading.impact_object(node.key, found))
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
    failing, ran = _runs(context, home)
    if as_json:
        print_json(reading.automations_object(known, failing, ran))
        return
    links, fights, order = routines.links(known), routines.conflicts(known), routines.order(known)
    unseen = [key for key in routines.never_seen(known) if key not in ran]
    never = [key for key in routines.never_ran(known) if key in unseen]
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
        print_json([reading.cycle_object(cycle) for cycle in found])
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
    settings = settings_of(context)
    return reading.read_runs(settings, bootstrap.open_metadata(settings), home_of(settings, name).name)


def _graph(context: typer.Context, name: str | None, at: str | None = None) -> HomeGraph:
    settings = settings_of(context)
    at_us = at_us_of(at)
    known = reading.read_graph(settings, bootstrap.open_metadata(settings), home_of(settings, name).name, at_us)
    if at_us is not None:
        say("as it was then; what was seen to happen is left out")
    return known
