"""`/api/v1/events/history` over HTTP: states, windows, and what is said to questions that cannot be answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api_bench import ApiBench, api_bench, state

HISTORY = "/api/v1/events/history"
SPAN: dict[str, Any] = {"since": "2026-11-21T02:47:24Z", "until": "2026-11-21T02:57:24Z"}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiBench]:
    with api_bench(tmp_path, {"homes": [{"name": "cabin"}]}) as bench:
        bench.write(*(state(second, "sensor.a", f"{second}", unit="W") for second in range(0, 600, 60)))
        bench.write(state(30, "light.b", "on"), state(330, "light.b", "off"))
        bench.write(state(0, "sensor.a", "999"), home="cabin")
        yield bench


def test_states_are_told_oldest_first_in_pages(api: ApiBench) -> None:
    first = api.client.get(HISTORY, params={"entity": ["sensor.a", "light.b"], "limit": 5, **SPAN})
    found, answer = list(first.json()["items"]), first
    while "next" in answer.links:
        answer = api.client.get(answer.links["next"]["url"])
        found += answer.json()["items"]

    assert found[1] == {
        "time": "2026-11-21T02:47:54.000000042Z",
        "entity_id": "light.b",
        "series": "light.b",
        "state": "on",
        "value": None,
        "unit": None,
    }
    assert [one["value"] for one in found if one["entity_id"] == "sensor.a"] == [60.0 * turn for turn in range(10)]
    assert [one["time"] for one in found] == sorted(one["time"] for one in found)
    assert len(found) == 12


def test_windows_are_told_with_what_was_asked_for(api: ApiBench) -> None:
    found = api.get(HISTORY, entity="sensor.a", window="5m", aggregate=["max", "count", "last"], **SPAN)

    assert found["window_s"] == 300.0
    assert found["items"] == [
        {
            "entity_id": "sensor.a",
            "series": "sensor.a",
            "start": f"2026-11-21T02:{minute}:00.000000000Z",
            "max": top,
            "count": count,
            "last": top,
            "last_state": f"{top:g}",
        }
        for minute, top, count in ((45, 120.0, 3), (50, 420.0, 5), (55, 540.0, 2))
    ]


def test_what_held_how_long_is_told_by_state(api: ApiBench) -> None:
    found = api.get(HISTORY, entity="light.b", window="1h", aggregate="duration", **SPAN)["items"]

    (hour,) = found
    assert hour["duration_s"] == {"on": 300.0, "off": pytest.approx(270.0, abs=1e-6)}
    assert "mean" not in hour


def test_the_home_is_the_first_one_unless_another_is_named(api: ApiBench) -> None:
    (hour,) = api.get(HISTORY, entity="sensor.a", window="1h", aggregate="max", home="cabin", **SPAN)["items"]

    assert hour["max"] == 999.0
    assert api.get(HISTORY, entity="nobody.x", window="1h", **SPAN)["items"] == []


def test_the_longest_window_is_told_and_none_longer(api: ApiBench) -> None:
    (window,) = api.get(HISTORY, entity="sensor.a", window="3650d", aggregate="count", **SPAN)["items"]

    assert window["count"] == 10
    assert "3,650 days" in api.get(HISTORY, 400, entity="sensor.a", window="3651d", **SPAN)["detail"]


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({}, 422),
        ({"entity": ["a"] * 21}, 422),
        ({"entity": "a", "window": "0s"}, 422),
        ({"entity": "a", "window": "1y"}, 422),
        ({"entity": "a", "window": "1h", "aggregate": "median"}, 422),
        ({"entity": "a", "window": "1h", "fill": "magic"}, 422),
        ({"entity": "a", "aggregate": "mean"}, 400),
        ({"entity": "a", "fill": "zero"}, 400),
        ({"entity": "a", "since": SPAN["until"], "until": SPAN["since"]}, 400),
        ({"entity": "a", "window": "1s", "since": "2025-01-01T00:00:00Z"}, 400),
        ({"entity": "a", "window": "1h", "cursor": "x"}, 400),
        ({"entity": "a", "window": "3651d"}, 400),
        ({"entity": "a", "window": "99999w"}, 400),
        ({"entity": "a", "cursor": "x"}, 400),
        ({"entity": "light.*", "window": "1h", "fill": "zero"}, 400),
        ({"entity": ["a", "light.be?"]}, 400),
    ],
)
def test_a_question_that_cannot_be_answered_is_told_why(api: ApiBench, params: dict[str, Any], status: int) -> None:
    assert api.get(HISTORY, status, **params)["detail"]
