"""The graph of a home, made ready to be asked, and what it answers as plain values."""
# ruff: noqa: PLC0415 -- loaded when it is asked: the command line imports this, and a listener has 80 MB

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ingestor import bootstrap, errors

if TYPE_CHECKING:
    import sqlalchemy

    from ingestor.home.graph.automations import Conflict, Cycle, Link
    from ingestor.home.graph.model import Edge, HomeGraph
    from ingestor.home.graph.questions import Branch, Impact, Use
    from ingestor.home.traces.model import Failing
    from ingestor.settings import Settings


def read_graph(settings: Settings, database: sqlalchemy.Engine, home: str, at_us: int | None = None) -> HomeGraph:
    """Build the graph of a home as it is, or as it was: then of its objects alone, since counts have no past.

    Raises NotFound where nothing is known of the home, StoreUnavailable.
    """
    from ingestor.home.graph.ready import ready_graph

    objects = bootstrap.open_objects(settings, database).load(home, at_us=at_us)
    if not objects and at_us is not None:
        raise errors.NotFound(f"nothing is known of the home {home!r} at that time")
    if not objects:
        raise errors.NotFound(
            f"nothing is known of the home {home!r} yet: `ha-ingestor up` reads it as soon as Home Assistant answers"
        )
    if at_us is not None:
        return ready_graph(home, objects)
    return ready_graph(home, objects, bootstrap.open_observed(settings, database).load(home))


def read_runs(settings: Settings, database: sqlalchemy.Engine, home: str) -> tuple[dict[str, Failing], set[str]]:
    """Return by entity_id what fails in each of its newest runs, and what has run at all. Raises StoreUnavailable."""
    from ingestor.home.traces.sync import item_ids

    kept, objects = bootstrap.open_traces(settings, database), bootstrap.open_objects(settings, database)
    entity_ids = {item: entity_id for entity_id, item in item_ids(objects, home).items()}
    failing = {entity_ids[one.item]: one for one in kept.failing(home) if one.item in entity_ids}
    return failing, {entity_ids[item] for item in kept.items(home) if item in entity_ids}


def automations_object(known: HomeGraph, failing: dict[str, Failing], ran: set[str]) -> dict[str, Any]:
    """Return what sets off what, in which order, what several write, what always fails, what never ran."""
    from ingestor.home.graph import automations as routines

    unseen = [key for key in routines.never_seen(known) if key not in ran]
    return {
        "links": [link_object(link) for link in routines.links(known)],
        "order": routines.order(known),
        "shared": [conflict_object(one) for one in routines.conflicts(known)],
        "always_fail": [failing_object(key, one) for key, one in failing.items()],
        "never_ran": [key for key in routines.never_ran(known) if key in unseen],
        "never_seen": unseen,
    }


def uses_object(known: HomeGraph, key: str, found: list[Use]) -> dict[str, Any]:
    """Return who uses a thing, and whether that is all."""
    return {
        "thing": key,
        "safe_to_delete": not found and not known.hidden and not known.undecided,
        "uses": [use_object(use) for use in found],
        "hidden": known.hidden,
        "undecided": known.undecided,
    }


def impact_object(key: str, found: Impact) -> dict[str, Any]:
    """Return what goes dark with a thing, who then lacks something, and what was seen to be lost with it."""
    return {
        "failed": key,
        "dark": found.dark,
        "affected": {user: [use_object(use) for use in one] for user, one in found.affected.items()},
        "seen_lost_with_it": [edge_object(edge) for edge in found.seen],
    }


def related_object(key: str, found: dict[str, list[Use]], around: set[str]) -> dict[str, Any]:
    """Return what is one step away from a thing, and what is around it."""
    related = [use_object(use) for one in found.values() for use in one]
    return {"thing": key, "related": related, "around": sorted(around)}


def failing_object(key: str, failing: Failing) -> dict[str, Any]:
    """Return what always fails as the JSON object that is printed."""
    return {"entity_id": key, **msgspec.structs.asdict(failing)}


def branch_object(branch: Branch) -> dict[str, Any]:
    """Return a branch as the JSON object that is printed."""
    node = branch.node
    inside = [branch_object(one) for one in branch.branches]
    return {"id": node.key, "kind": node.kind, "name": node.name, **({"contains": inside} if inside else {})}


def use_object(use: Use) -> dict[str, Any]:
    """Return a use as the JSON object that is printed."""
    return {"what": use.user, "edge": use.how, **edge_object(use.edge)}


def edge_object(edge: Edge) -> dict[str, Any]:
    """Return an edge as the JSON object that is printed."""
    return {
        "source": edge.source,
        "target": edge.target,
        "evidence": [msgspec.structs.asdict(one) for one in edge.evidence],
    }


def link_object(link: Link) -> dict[str, Any]:
    """Return a link as the JSON object that is printed."""
    return {slot: getattr(link, slot) for slot in link.__slots__}


def conflict_object(conflict: Conflict) -> dict[str, Any]:
    """Return a conflict as the JSON object that is printed."""
    return {"entity_id": conflict.entity_id, "fight": conflict.is_fight, "writers": conflict.writers}


def cycle_object(cycle: Cycle) -> dict[str, Any]:
    """Return a circle as the JSON object that is printed."""
    return {
        "routines": cycle.routines,
        "observed": cycle.observed,
        "last_us": cycle.last_us,
        "links": [link_object(link) for link in cycle.links],
    }
