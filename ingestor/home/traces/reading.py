"""From Home Assistant's answer to `trace/get` to a trace of ours: what was called, with what, and what came of it.

Takes what is there and leaves out what it does not know: the shape of a trace is no promise of Home Assistant's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from ingestor.events.decoding import dumps, loads
from ingestor.events.redact import redact
from ingestor.events.values import time_us
from ingestor.home.traces.model import Child, Run, Step, Trace

Row = Mapping[str, Any]
#: Steps that are kept of one run; Home Assistant itself keeps no more than some of a loop's.
MAX_STEPS: Final = 500
#: The most that is kept of one value: a camera's picture in an answer is not.
MAX_VALUE_BYTES: Final = 4_096
_MAX_TEXT: Final = 1_000
_MAX_ID: Final = 255
_MAX_WORD: Final = 32
#: More digits than any that is meant here; Python makes no number of thousands of them.
_MAX_DIGITS: Final = 10
#: Home Assistant's own variables: the automation itself, and the context, which stands at the run.
_OWN: Final = frozenset(("this", "context"))
_STATE_WORDS: Final = ("entity_id", "state", "last_changed")


def read_run(row: Row) -> Run | None:
    """Return a run in short, from a row of `trace/list` or an answer to `trace/get`; None where it has not ended."""
    times = _object(row.get("timestamp"))
    started, finished = times.get("start"), times.get("finish")
    if row.get("state") != "stopped" or not isinstance(started, str) or not isinstance(finished, str):
        return None
    context = _object(row.get("context"))
    return Run(
        domain=_text(row, "domain")[:_MAX_WORD],
        item_id=_text(row, "item_id")[:_MAX_ID],
        run_id=_text(row, "run_id")[:_MAX_WORD],
        started_us=time_us(started),
        finished_us=time_us(finished),
        result=_text(row, "script_execution")[:_MAX_WORD],
        error=_text(row, "error"),
        trigger=_text(row, "trigger"),
        last_step=_text(row, "last_step"),
        context_id=_text(context, "id")[:_MAX_WORD],
        parent_id=_text(context, "parent_id")[:_MAX_WORD],
        user_id=_text(context, "user_id")[:_MAX_WORD],
    )


def read_trace(answer: Row) -> Trace | None:
    """Return the trace that an answer to `trace/get` tells, without secrets; None where the run has not ended."""
    answer = loads(redact(dumps(answer)))
    run = read_run(answer)
    if run is None:
        return None
    config = _object(answer.get("config"))
    steps = sorted(_steps(answer.get("trace")), key=lambda step: step.time_us)
    resolved = dict(config) if _object(answer.get("blueprint_inputs")) else None
    return Trace(run, _answered(steps[:MAX_STEPS], config), resolved, max(0, len(steps) - MAX_STEPS))


def _steps(trace: Any) -> Iterator[Step]:
    for elements in _object(trace).values():
        for element in elements if isinstance(elements, list) else ():
            if isinstance(element, Mapping) and isinstance(element.get("timestamp"), str):
                yield _step(element)


def _step(element: Row) -> Step:
    result = dict(_object(element.get("result")))
    params = _object(result.pop("params", None))
    call, target, data = "", {}, {}
    if params:
        call = f"{_text(params, 'domain')}.{_text(params, 'service')}"
        target = _object(params.get("target"))
        # Home Assistant repeats the target among the data.
        data = {key: one for key, one in _object(params.get("service_data")).items() if target.get(key) != one}
        result.pop("running_script", None)
    elif isinstance(result.get("event"), str):
        call, data = f"event {result.pop('event')}", _object(result.pop("event_data", None))
    changed = _object(element.get("changed_variables"))
    variables = {key: _told(key, value) for key, value in changed.items() if key not in _OWN}
    return Step(
        path=_text(element, "path"),
        time_us=time_us(str(element["timestamp"])),
        call=call,
        target=_kept(target),
        data=_kept(data),
        result=_kept(result),
        variables=_kept(variables),
        error=_text(element, "error"),
        child=_child(element.get("child_id")),
    )


def _told(name: str, value: Any) -> Any:
    """Return a variable; of what triggered, states in short: their attributes are stored as events."""
    if name != "trigger" or not isinstance(value, Mapping):
        return value
    return {key: _state_in_short(one) if key in ("from_state", "to_state") else one for key, one in value.items()}


def _state_in_short(state: Any) -> Any:
    return {key: state.get(key) for key in _STATE_WORDS} if isinstance(state, Mapping) else state


def _child(value: Any) -> Child | None:
    row = _object(value)
    return Child(_text(row, "domain"), _text(row, "item_id"), _text(row, "run_id")) if row else None


def _kept(values: Row) -> dict[str, Any]:
    """Return values, each too large one replaced by how large it is."""
    return {key: _small(value) for key, value in values.items()}


def _small(value: Any) -> Any:
    size = len(dumps(value))
    return value if size <= MAX_VALUE_BYTES else f"(left out: {size} bytes)"


def _answered(steps: list[Step], config: Row) -> list[Step]:
    """Put the answers of services to the steps that called them: Home Assistant shows them as variables."""
    return [_with_answer(step, steps[number:], config) for number, step in enumerate(steps)]


def _with_answer(step: Step, later: list[Step], config: Row) -> Step:
    name = response_variable(config, step.path) if step.call else None
    if name is None:
        return step
    answer = next((one.variables[name] for one in later if name in one.variables), None)
    rest = {key: one for key, one in step.variables.items() if key != name}
    return msgspec.structs.replace(step, answer=answer, variables=rest)


def response_variable(config: Row, path: str) -> str | None:
    """Return under which name the step at that path wants its service's answer; None if it wants none."""
    here: Any = config
    for part in path.split("/"):
        here = _below(here, part)
        if here is None:
            return None
    name = _object(here).get("response_variable")
    return name if isinstance(name, str) else None


def _below(here: Any, part: str) -> Any:
    if part.isdecimal():
        if isinstance(here, list):
            return here[int(part)] if len(part) < _MAX_DIGITS and int(part) < len(here) else None
        return here  # one step that stands alone, not in a list
    row = _object(here)
    return row.get(part, row.get(f"{part}s"))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(row: Row, key: str) -> str:
    value = row.get(key)
    # A database takes no text with a zero in it.
    return "" if value is None else str(value).replace("\x00", "")[:_MAX_TEXT]
