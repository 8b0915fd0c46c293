"""The commands `home traces` and `home trace`: what automations and scripts did when they ran, step by step."""
# ruff: noqa: PLC0415 -- the database is opened when it is asked

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from ingestor import bootstrap, errors
from ingestor.cli.home_objects import name_of
from ingestor.cli.home_reading import hidden_of
from ingestor.cli.options import HomeOption, JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.wording import number_of

if TYPE_CHECKING:
    from ingestor.home.traces.model import Item, Run, Step, Trace
    from ingestor.home.traces.store import RoutineTraces

_US: Final = 1_000_000
_ID_SIGNS: Final = 8
_MAX_CELL: Final = 120
#: How the hidden part of a home is called whose token sees no traces.
HIDDEN: Final = "runs of automations and scripts"


def register(group: typer.Typer) -> None:
    """Add the commands to the group `home`."""
    group.command("traces")(traces)
    group.command("trace")(trace)


def traces(
    context: typer.Context,
    automation: Annotated[
        str | None, typer.Argument(metavar="[AUTOMATION]", help="Only runs of this automation or script.")
    ] = None,
    *,
    result: Annotated[
        str | None, typer.Option(help="Only runs that ended so: finished, error, failed_conditions, aborted, ...")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 20,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List runs of automations and scripts: more than the five of each that Home Assistant remembers."""
    known = _open(context, home)
    item = known.find(automation) if automation is not None else None
    found = known.kept.runs(known.home, item, result=result, limit=limit)
    if as_json:
        print_json([{**_object(run), "entity_id": known.entity_id(run.item)} for run in found])
        return
    if not found:
        say("no such run is kept; runs are fetched some 20 s after they were seen")
        if HIDDEN in hidden_of(context, known.home):
            say(f"this token may not see {HIDDEN}: Home Assistant shows them to administrators")
        return
    columns = ("run", "started", "what", "set off by", "took", "result", "error")
    print_table(columns, [_row(run, known) for run in found])


def trace(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The id of a run, or its first signs: see `home traces`.")],
    *,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show one run step by step: what was called with what, what was answered, and what came before and after it."""
    known = _open(context, home)
    found = known.kept.trace(known.home, run)
    before, after = known.kept.around(known.home, found.run)
    if as_json:
        told = {**_object(found.run), "entity_id": known.entity_id(found.run.item)}
        ids = {"set_off_by": [one.run_id for one in before], "set_off": [one.run_id for one in after]}
        steps = [msgspec.to_builtins(step) for step in found.steps]
        print_json({**told, **ids, "steps": steps, "steps_left_out": found.cut, "resolved": found.resolved})
        return
    for line in _told(found, before, after, known):
        say(line)
    rows = [[_since(step, found), step.path, _done(step), _outcome(step)] for step in found.steps]
    print_table(("after", "step", "did", "what came of it"), rows)
    if found.cut:
        say(f"{number_of(found.cut, 'further step')} left out")


# -- what is asked -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
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


def _open(context: typer.Context, name: str | None) -> _Known:
    from ingestor.home.traces.fetching import DOMAINS
    from ingestor.home.traces.sync import item_ids

    settings = settings_of(context)
    home = home_of(settings, name).name
    database = bootstrap.open_metadata(settings)
    objects = bootstrap.open_objects(settings, database)
    ids = {item: entity_id for entity_id, item in item_ids(objects, home).items()}
    names = {
        entity_id: name_of(row, entity_id)
        for domain in DOMAINS
        for entity_id, row in objects.load(home, domain).get(domain, {}).items()
    }
    return _Known(home, bootstrap.open_traces(settings, database), ids, names)


# -- what is told ------------------------------------------------------------------------------------------


def _row(run: Run, known: _Known) -> list[str]:
    took = f"{(run.finished_us - run.started_us) / _US:.3f} s"
    told = [run.run_id[:_ID_SIGNS], _moment(run.started_us), known.entity_id(run.item), run.trigger, took, run.result]
    return [*told, run.error]


def _told(found: Trace, before: list[Run], after: list[Run], known: _Known) -> list[str]:
    run = found.run
    told = [f"{known.entity_id(run.item)}, run {run.run_id}", f"began {_moment(run.started_us)}, ended: {run.result}"]
    if run.trigger:
        told.append(f"set off by: {run.trigger}")
    told += [f"in the course of: {_short(one, known)}" for one in before]
    told += [f"set off: {_short(one, known)}" for one in after]
    if run.error:
        told.append(f"error: {run.error}")
    return told


def _short(run: Run, known: _Known) -> str:
    return f"{known.entity_id(run.item)} (run {run.run_id[:_ID_SIGNS]}, {run.result})"


def _since(step: Step, found: Trace) -> str:
    return f"{(step.time_us - found.run.started_us) / 1000:.1f} ms"


def _done(step: Step) -> str:
    told = [step.call] if step.call else []
    told += [_text(one) for one in (step.target, step.data) if one]
    return _cell(" ".join(told))


def _outcome(step: Step) -> str:
    told = [f"error: {step.error}"] if step.error else []
    if step.answer is not None:
        told.append(f"answered {_text(step.answer)}")
    if step.child is not None:
        told.append(f"run {step.child.run_id[:_ID_SIGNS]} of {step.child.domain}.{step.child.item_id}")
    # What triggered stands above the steps.
    variables = {key: value for key, value in step.variables.items() if key != "trigger"}
    told += [_text(one) for one in (step.result, variables) if one]
    return _cell("; ".join(told))


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _cell(text: str) -> str:
    return text if len(text) <= _MAX_CELL else f"{text[: _MAX_CELL - 1]}…"


def _moment(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / _US, UTC).isoformat(timespec="milliseconds")


def _object(run: Run) -> dict[str, Any]:
    return msgspec.structs.asdict(run)
