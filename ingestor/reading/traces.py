"""Runs of automations and scripts, with what they are called now, as plain values."""
# ruff: noqa: PLC0415 -- loaded when it is asked: the command line imports this, and a listener has 80 MB

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ingestor import bootstrap, errors
from ingestor.reading.objects import name_of

if TYPE_CHECKING:
    import sqlalchemy

    from ingestor.home.traces.model import Item, Run, Trace
    from ingestor.home.traces.store import RoutineTraces
    from ingestor.settings import Settings


@dataclass(frozen=True, slots=True)
class KnownRuns:
    """The runs of one home, and how its automations and scripts are called now."""

    home: str
    kept: RoutineTraces
    entity_ids: Mapping[Item, str]
    names: Mapping[str, str]

    def entity_id(self, item: Item) -> str:
        """Return the entity_id of the day; of what is gone, as it is called in Home Assistant's traces."""
        return self.entity_ids.get(item, ".".join(item))

    def find(self, text: str) -> Item:
        """Return what a person means: an entity_id, an id or a name. Raises NotFound."""
        wanted = text.casefold()
        items = {item: self.entity_id(item) for item in (*self.entity_ids, *self.kept.items(self.home))}
        for item, entity_id in items.items():
            if wanted in (entity_id, item[1].casefold(), ".".join(item), self.names.get(entity_id, "").casefold()):
                return item
        raise errors.NotFound(
            f"the home has no automation or script {text!r}; `ha-ingestor home list automation` shows them"
        )


def open_runs(settings: Settings, database: sqlalchemy.Engine, home: str) -> KnownRuns:
    """Open the runs of a home. Raises StoreUnavailable."""
    from ingestor.home.traces.fetching import DOMAINS
    from ingestor.home.traces.sync import item_ids

    objects = bootstrap.open_objects(settings, database)
    ids = {item: entity_id for entity_id, item in item_ids(objects, home).items()}
    names = {
        entity_id: name_of(row, entity_id)
        for domain in DOMAINS
        for entity_id, row in objects.load(home, domain).get(domain, {}).items()
    }
    return KnownRuns(home, bootstrap.open_traces(settings, database), ids, names)


def run_object(run: Run, known: KnownRuns) -> dict[str, Any]:
    """Return a run as the JSON object that is told."""
    return {**msgspec.structs.asdict(run), "entity_id": known.entity_id(run.item)}


def trace_object(found: Trace, beside: tuple[Sequence[Run], Sequence[Run]], known: KnownRuns) -> dict[str, Any]:
    """Return a run with its steps; `beside`: what set it off, and what it set off."""
    before, after = beside
    return {
        **run_object(found.run, known),
        "set_off_by": [one.run_id for one in before],
        "set_off": [one.run_id for one in after],
        "steps": [msgspec.to_builtins(step) for step in found.steps],
        "steps_left_out": found.cut,
        "resolved": found.resolved,
    }
