"""What is told of the runs of automations."""

from __future__ import annotations

import json

import msgspec
import pytest

from ingestor.home.traces.model import NOT_TRIED, Run
from ingestor.live.channel import EntryId
from ingestor.live.channel_memory import MemoryChannel
from ingestor.live.entry import decode_entry
from ingestor.live.envelope import Messages
from ingestor.live.feed import LiveFeed
from ingestor.live.filter import LiveFilter
from ingestor.live.runs import run_notices

RUN = Run(
    "automation", "17", "run-1", 1_000_000, 1_500_000, "finished", "", "state of sun.sun", "action/0", "C", "", ""
)


def test_a_run_is_told_under_the_name_of_its_automation_and_filters_find_it() -> None:
    channel = MemoryChannel(max_entries=10, max_bytes=10_000)
    start = channel.kept("villa").last

    assert LiveFeed(channel).notify("villa", run_notices("villa", [RUN], {("automation", "17"): "automation.evening"}))

    (entry,) = channel.read({"villa": start}, most=10, wait_s=0)
    messages = Messages(decode_entry(entry.body), EntryId(1500, 0))
    assert json.loads(messages.render(0, "native")) == {
        "id": "villa~run~run-1",
        "type": "automation.executed",
        "home": "villa",
        "time": "1970-01-01T00:00:01.500000Z",
        "subject": "automation.evening",
        "data": {
            "entity_id": "automation.evening",
            "run_id": "run-1",
            "result": "finished",
            "trigger": "state of sun.sun",
            "last_step": "action/0",
            "duration_s": 0.5,
            "context_id": "C",
        },
    }
    assert LiveFilter(types=("automation.executed",), domains=("automation",)).select(messages) == (0,)
    assert LiveFilter(entities=("automation.morning",)).select(messages) == ()


def test_one_that_failed_is_told_as_such_with_its_error() -> None:
    failed = msgspec.structs.replace(RUN, result="error", error="no such service")

    (notice,) = run_notices("villa", [failed], {})

    assert (notice.name, notice.subject, notice.data["error"]) == (
        "automation.failed",
        "automation.17",
        "no such service",
    )


@pytest.mark.parametrize("result", NOT_TRIED)
def test_where_nothing_was_tried_nothing_is_told_and_of_scripts_neither(result: str) -> None:
    runs = [msgspec.structs.replace(RUN, result=result), msgspec.structs.replace(RUN, domain="script")]

    assert run_notices("villa", runs, {}) == []
    assert not LiveFeed(MemoryChannel(max_entries=10, max_bytes=10_000)).notify("villa", [])
