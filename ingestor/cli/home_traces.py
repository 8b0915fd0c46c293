"""The commands `home traces` and `home trace`: what automations and scripts did when they ran, step by step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from ingestor import bootstrap
from ingestor.cli.home_reading import hidden_of
from ingestor.cli.options import HomeOption, JsonFlag, home_of, settings_of
from ingestor.cli.output import print_json, print_table, say
from ingestor.reading.traces import KnownRuns, open_runs, run_object, trace_object
from ingestor.wording import number_of

if TYPE_CHECKING:
    from ingestor.home.traces.model import Run, Step, Trace

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
        print_json([run_object(run, known) for run in found])
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
        print_json(trace_object(found, (before, after), known))
        return
    for line in _told(found, before, after, known):
        say(line)
    rows = [[_since(step, found), step.path, _done(step), _outcome(step)] for step in found.steps]
    print_table(("after", "step", "did", "what came of it"), rows)
    if found.cut:
        say(f"{number_of(found.cut, 'further step')} left out")


# -- what is asked -----------------------------------------------------------------------------------------


def _open(context: typer.Context, name: str | None) -> KnownRuns:
    settings = settings_of(context)
    return open_runs(settings, bootstrap.open_metadata(settings), home_of(settings, name).name)


# -- what is told ------------------------------------------------------------------------------------------


def _row(run: Run, known: KnownRuns) -> list[str]:
    took = f"{(run.finished_us - run.started_us) / _US:.3f} s"
    told = [run.run_id[:_ID_SIGNS], _moment(run.started_us), known.entity_id(run.item), run.trigger, took, run.result]
    return [*told, run.error]


def _told(found: Trace, before: list[Run], after: list[Run], known: KnownRuns) -> list[str]:
    run = found.run
    told = [f"{known.entity_id(run.item)}, run {run.run_id}", f"began {_moment(run.started_us)}, ended: {run.result}"]
    if run.trigger:
        told.append(f"set off by: {run.trigger}")
    told += [f"in the course of: {_short(one, known)}" for one in before]
    told += [f"set off: {_short(one, known)}" for one in after]
    if run.error:
        told.append(f"error: {run.error}")
    return told


def _short(run: Run, known: KnownRuns) -> str:
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
