"""Runs of automations and scripts, read from what Home Assistant answered, and fetched as far as they are new."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from ingestor import errors
from ingestor.home.traces.fetching import MAX_ITEMS, Fetched, fetch_traces
from ingestor.home.traces.model import Item, Trace
from ingestor.home.traces.reading import MAX_STEPS, MAX_VALUE_BYTES, read_trace, response_variable

RECORDED: dict[str, Any] = json.loads(
    gzip.decompress((Path(__file__).parent.parent / "recordings" / "traces.json.gz").read_bytes())
)
YEARS = ("2024", "2026")


def recorded(year: str, item_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in RECORDED[year]["get"] if one["item_id"] == item_id)
    return found


def trace_of(answer: dict[str, Any]) -> Trace:
    found = read_trace(answer)
    assert found is not None
    return found


def made(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an answer to `trace/get` with these steps, a millisecond apart."""
    at = "2026-11-21T03:00:00.{:06d}+00:00"
    trace: dict[str, Any] = {}
    for number, step in enumerate(steps):
        trace.setdefault(step["path"], []).append({"timestamp": at.format(number * 1000), **step})
    return {
        "run_id": "r1",
        "domain": "script",
        "item_id": "ask",
        "state": "stopped",
        "script_execution": "finished",
        "timestamp": {"start": at.format(0), "finish": at.format(900_000)},
        "trace": trace,
        "config": {},
        "context": {"id": "c1", "parent_id": None, "user_id": None},
        **more,
    }


def call(domain: str, service: str, **data: Any) -> dict[str, Any]:
    return {"params": {"domain": domain, "service": service, "service_data": data, "target": {}}}


@pytest.mark.parametrize("year", YEARS)
def test_every_recorded_run_is_read_with_all_its_steps_in_their_order(year: str) -> None:
    for answer in RECORDED[year]["get"]:
        found = trace_of(answer)

        assert found.run.run_id == answer["run_id"]
        assert found.run.last_step == answer["last_step"]
        assert sorted(step.path for step in found.steps) == sorted(
            path for path, elements in answer["trace"].items() for _ in elements
        )
        assert [step.time_us for step in found.steps] == sorted(step.time_us for step in found.steps)
        assert found.run.started_us <= found.steps[0].time_us <= found.run.finished_us


@pytest.mark.parametrize(("year", "told"), [("2024", "Service nonexistent"), ("2026", "Action nonexistent")])
def test_a_run_that_failed_says_where_and_why(year: str, told: str) -> None:
    found = trace_of(recorded(year, "1700000000006"))

    assert (found.run.result, found.run.last_step) == ("error", "action/1")
    assert found.run.error.startswith(told)
    assert [(step.call, step.error.startswith(told)) for step in found.steps] == [
        ("", False),
        ("light.turn_on", False),
        ("nonexistent.do_it", True),
    ]


@pytest.mark.parametrize("year", YEARS)
def test_a_run_whose_conditions_failed_is_told_apart(year: str) -> None:
    found = trace_of(recorded(year, "1700000000004"))

    assert (found.run.result, found.run.trigger) == ("failed_conditions", "state of input_boolean.ping")


def test_a_step_that_called_a_script_names_its_run() -> None:
    found = trace_of(recorded("2024", "nested_script"))

    child = found.steps[0].child
    assert child is not None
    assert (child.domain, child.item_id, len(child.run_id)) == ("script", "chain_finish", 32)


@pytest.mark.parametrize("late", [0, 1])
def test_the_answer_of_a_service_is_told_at_the_step_that_called_it(late: int) -> None:
    steps: list[dict[str, Any]] = [
        {"path": "sequence/0/then/0", "result": call("weather", "get_forecasts", type="daily")},
        {"path": "sequence/1", "result": {"delay": 1}},
    ]
    steps[late]["changed_variables"] = {"forecast": {"weather.home": [21]}, "n": 2}
    asking = {"action": "weather.get_forecasts", "response_variable": "forecast"}

    found = trace_of(made(*steps, config={"sequence": [{"if": [], "then": [asking]}, {"delay": 1}]}))

    assert found.steps[0].answer == {"weather.home": [21]}
    assert found.steps[0].data == {"type": "daily"}
    assert found.steps[1].answer is None
    assert [step.variables.get("n") for step in found.steps] == [None] * late + [2] + [None] * (1 - late)


@pytest.mark.parametrize(
    ("config", "path", "name"),
    [
        ({"action": [{"response_variable": "x"}]}, "action/0", "x"),
        ({"actions": [{"choose": [{"sequence": [{"response_variable": "x"}]}]}]}, "action/0/choose/0/sequence/0", "x"),
        ({"action": {"response_variable": "x"}}, "action/0", "x"),
        ({"action": [{"service": "a.b"}]}, "action/0", None),
        ({"action": []}, "action/7/then/0", None),
        ({}, "sequence/0", None),
        ({"action": [{"response_variable": "x"}]}, "action/²", None),
        ({"action": [{"response_variable": "x"}]}, f"action/{'9' * 5000}", None),
    ],
)
def test_the_name_of_an_answer_is_found_where_the_step_stands(
    config: dict[str, Any], path: str, name: str | None
) -> None:
    assert response_variable(config, path) == name


def test_secrets_and_what_is_too_large_are_not_kept() -> None:
    data = {"code": "1234", "message": "hello", "picture": "x" * (MAX_VALUE_BYTES + 1)}

    (step,) = trace_of(made({"path": "sequence/0", "result": call("lock", "unlock", **data)})).steps

    assert step.data["code"] == "**redacted**"
    assert step.data["message"] == "hello"
    assert step.data["picture"].startswith("(left out")


def test_a_run_of_very_many_steps_is_cut_and_says_so() -> None:
    found = trace_of(made(*({"path": "sequence/0", "result": {"delay": 0}} for _ in range(MAX_STEPS + 3))))

    assert (len(found.steps), found.cut) == (MAX_STEPS, 3)


def test_the_states_that_triggered_are_kept_without_their_attributes() -> None:
    state = {"entity_id": "sensor.a", "state": "1", "attributes": {"many": 1}, "last_changed": "then"}
    trigger = {"platform": "state", "to_state": state, "from_state": None}

    (step,) = trace_of(made({"path": "trigger/0", "changed_variables": {"trigger": trigger, "this": state}})).steps

    kept = {"entity_id": "sensor.a", "state": "1", "last_changed": "then"}
    assert step.variables == {"trigger": {**trigger, "to_state": kept}}


def test_a_run_that_has_not_ended_is_no_trace_yet() -> None:
    assert read_trace(made(state="running", timestamp={"start": "2026-11-21T03:00:00+00:00", "finish": None})) is None


class RecordedHome:
    """A Home Assistant that answers with what was recorded, and notes what it was asked."""

    def __init__(self, year: str = "2026", refuses: str | None = None, gone: Iterable[str] = ()) -> None:
        self.asked: list[dict[str, Any]] = []
        self._recorded, self._refuses, self._gone = RECORDED[year], refuses, set(gone)

    def command(self, type: str, **fields: Any) -> Any:  # noqa: A002 - as the client's
        self.asked.append({"type": type, **fields})
        if self._refuses:
            raise errors.CommandRefused(self._refuses, type)
        if type == "trace/list":
            return [one for one in self._recorded["list"] if all(one[key] == value for key, value in fields.items())]
        found = [one for one in self._recorded["get"] if one["run_id"] == fields["run_id"]]
        if fields["run_id"] in self._gone:
            raise errors.CommandRefused("not_found", "The trace could not be found")
        return found[0]


class Kept(dict[str, Trace]):
    """Runs in memory."""

    def known(self, home: str, run_ids: Iterable[str]) -> set[str]:
        return self.keys() & set(run_ids)

    def add(self, home: str, traces: Iterable[Trace]) -> int:
        new = {trace.run.run_id: trace for trace in traces}
        self.update(new)
        return len(new)


def fetch(home: RecordedHome, kept: Kept, items: list[Item] | None = None, most: int = 100, **more: Any) -> Fetched:
    return fetch_traces("home", home, kept, items, most=most, **more)


def test_runs_are_fetched_once_and_the_oldest_first() -> None:
    home, kept = RecordedHome(), Kept()

    first, second, third = fetch(home, kept, most=4), fetch(home, kept), fetch(home, kept)

    assert (first, second, third) == (Fetched(4, 7), Fetched(7, 0), Fetched(0, 0))
    times = [trace.run.started_us for trace in kept.values()]
    assert times == sorted(times)
    assert len([one for one in home.asked if one["type"] == "trace/get"]) == 11


def test_only_what_has_run_is_asked_for_unless_it_is_much() -> None:
    home, kept = RecordedHome(), Kept()

    fetch(home, kept, [("automation", "1700000000006"), ("script", "chain_finish")])
    asked = [one for one in home.asked if one["type"] == "trace/list"]
    fetch(home, kept, [("automation", str(number)) for number in range(MAX_ITEMS + 1)])

    assert {trace.run.item_id for trace in list(kept.values())[:3]} == {"1700000000006", "chain_finish"}
    assert [one.get("item_id") for one in asked] == ["1700000000006", "chain_finish"]
    assert len([one for one in home.asked if one["type"] == "trace/list"]) == 4


def test_a_token_that_may_not_see_traces_is_told_apart_from_a_home_without_any() -> None:
    assert fetch(RecordedHome(refuses="unauthorized"), Kept()) == Fetched(may_not=True)
    assert fetch(RecordedHome(refuses="unknown_command"), Kept()) == Fetched()


def test_a_run_that_home_assistant_forgot_meanwhile_does_not_cost_the_others() -> None:
    gone = RECORDED["2026"]["list"][0]["run_id"]

    fetched = fetch(RecordedHome(gone=[gone]), kept := Kept())

    assert fetched == Fetched(10, 0)
    assert gone not in kept


def test_fetching_ends_with_its_time_and_says_what_is_left() -> None:
    now = iter(range(0, 1000, 4))

    fetched = fetch(RecordedHome(), Kept(), within_s=10, clock=lambda: float(next(now)))

    assert fetched == Fetched(2, 9)
