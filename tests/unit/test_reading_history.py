"""The past by windows: what held how long is told by the order of states, and empty windows are filled as asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor import errors
from ingestor.events.point import Point
from ingestor.reading import history
from ingestor.reading.history import Aggregate, Fill, HistoryAsked, history_rows
from ingestor.storage.memory import MemoryStore
from ingestor.storage.schema import STATES

S = 10**9
T0 = 1_795_229_240 * S  # a whole multiple of ten seconds
A = "sensor.a"


def store_of(*states: tuple[float, str | None, float | None], series: str = A) -> MemoryStore:
    store = MemoryStore()
    for at_s, state, value in states:
        fields: dict[str, Any] = {"state": state, "value": value, "available": True}
        tags = (("domain", "sensor"), ("home", "home"), ("series", series))
        known = {name: one for name, one in fields.items() if one is not None}
        store.write([Point(STATES, tags, known, T0 + int(at_s * S))])
    return store


def rows(
    store: MemoryStore,
    *aggregates: Aggregate,
    since_s: float = 0,
    until_s: float = 40,
    window_s: int = 10,
    now_s: float = 1000,
    fill: Fill = "null",
) -> list[dict[str, Any]]:
    times = (T0 + int(since_s * S), T0 + int(until_s * S), window_s * S)
    return history_rows(store, HistoryAsked("home", {A: A}, *times, aggregates, fill, T0 + int(now_s * S)))


def test_a_state_holds_until_the_next_one_and_from_before_the_span() -> None:
    store = store_of((-500, "off", None), (5, "on", None), (22, "off", None))

    found = rows(store, "duration")

    assert [row["duration_s"] for row in found] == [
        {"off": 5.0, "on": 5.0},
        {"on": 10.0},
        {"off": 8.0, "on": 2.0},
        {"off": 10.0},
    ]


def test_the_mean_by_time_weighs_each_number_by_how_long_it_held() -> None:
    store = store_of((0, "10", 10.0), (9, "20", 20.0), (15, "unavailable", None), (25, "0", 0.0))

    found = rows(store, "mean", "time_weighted_mean")

    assert [row["mean"] for row in found] == [15.0, None, 0.0, None]
    assert [row["time_weighted_mean"] for row in found] == [11.0, 20.0, 0.0, 0.0]


def test_what_was_removed_holds_no_more_and_the_future_holds_nothing() -> None:
    removed = store_of((0, "on", None), (12, None, None))

    assert [row["duration_s"] for row in rows(removed, "duration")] == [{"on": 10.0}, {"on": 2.0}, {}, {}]
    assert [row["duration_s"] for row in rows(store_of((0, "on", None)), "duration", now_s=15)] == [
        {"on": 10.0},
        {"on": 5.0},
        {},
        {},
    ]


def test_the_first_and_the_last_window_are_cut_to_the_span() -> None:
    found = rows(store_of((-5, "on", None)), "duration", "count", since_s=3, until_s=24)

    assert [(row["start"][-13:-11], row["duration_s"], row["count"]) for row in found] == [
        ("20", {"on": 7.0}, 0),
        ("30", {"on": 10.0}, 0),
        ("40", {"on": 4.0}, 0),
    ]


@pytest.mark.parametrize(
    ("fill", "means", "counts"),
    [
        ("none", [1.0, 4.0], [1, 1]),
        ("null", [None, 1.0, None, None, 4.0, None], [0, 1, 0, 0, 1, 0]),
        ("zero", [0.0, 1.0, 0.0, 0.0, 4.0, 0.0], [0, 1, 0, 0, 1, 0]),
        ("previous", [None, 1.0, 1.0, 1.0, 4.0, 4.0], [0, 1, 0, 0, 1, 0]),
        ("linear", [None, 1.0, 2.0, 3.0, 4.0, None], [0, 1, 0, 0, 1, 0]),
    ],
)
def test_empty_windows_are_filled_as_asked(fill: Fill, means: list[float | None], counts: list[int]) -> None:
    store = store_of((15, "1", 1.0), (45, "4", 4.0))

    found = rows(store, "mean", "count", until_s=60, fill=fill)

    assert [row["mean"] for row in found] == means
    assert [row["count"] for row in found] == counts


@pytest.mark.parametrize(("fill", "means"), [("zero", [1.0, 0.0, 0.0]), ("previous", [1.0, 1.0, 1.0])])
def test_what_an_empty_window_is_filled_with_does_not_go_by_what_else_is_asked(fill: Fill, means: list[float]) -> None:
    store = store_of((0, "1", 1.0))

    found = rows(store, "mean", "time_weighted_mean", "duration", fill=fill, until_s=30)

    assert (
        [row["mean"] for row in found] == means == [row["mean"] for row in rows(store, "mean", fill=fill, until_s=30)]
    )
    assert [row["time_weighted_mean"] for row in found] == [1.0, 1.0, 1.0]  # it held all the time
    assert [row["duration_s"] for row in found] == [{"1": 10.0}] * 3


def test_an_entity_that_is_asked_for_by_two_of_its_names_is_told_under_both() -> None:
    store = store_of((0, "1", 1.0), (15, "2", 2.0))

    asked = HistoryAsked("home", {"sensor.new": A, "sensor.old": A}, T0, T0 + 20 * S, 10 * S, ("mean",), "null", T0 + S)

    assert [(row["entity_id"], row["series"], row["mean"]) for row in history_rows(store, asked)] == [
        ("sensor.new", A, 1.0),
        ("sensor.new", A, 2.0),
        ("sensor.old", A, 1.0),
        ("sensor.old", A, 2.0),
    ]


def test_a_window_with_states_but_no_number_is_not_filled() -> None:
    store = store_of((0, "1", 1.0), (10, "unavailable", None), (20, "3", 3.0))

    assert [row["mean"] for row in rows(store, "mean", fill="linear", until_s=30)] == [1.0, None, 3.0]


def test_many_states_of_a_window_are_told_up_to_a_number() -> None:
    store = store_of(*((number / 10, f"s{number}", None) for number in range(100)))

    (found,) = rows(store, "duration", until_s=10)

    assert len(found["duration_s"]) == history.MOST_NAMED
    assert found["other_s"] == pytest.approx(5.0)


def test_too_many_windows_or_states_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.Unanswerable, match="windows"):
        rows(MemoryStore(), "mean", until_s=100_001, window_s=10)
    monkeypatch.setattr(history, "MOST_STATES", 2)
    crowded = store_of(*((number, "on", None) for number in range(3)))
    assert len(rows(crowded, "count")) == 4
    with pytest.raises(errors.Unanswerable, match="states"):
        rows(crowded, "duration")


class Counting(MemoryStore):
    """Knows how many states were asked for at once."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    def windows(self, *asked: Any) -> Any:
        found = super().windows(*asked)
        self.most = 0  # a real store adds up by itself
        return found

    def values_of(self, *asked: Any) -> Any:
        found = list(super().values_of(*asked))
        self.most = max(self.most, len(found))
        return iter(found)


@given(
    changes=st.lists(st.tuples(st.integers(-20, 60), st.sampled_from(["on", "off", "dim"])), max_size=25),
    since_s=st.integers(0, 20),
    length_s=st.integers(1, 40),
    window_s=st.sampled_from([1, 3, 10, 60]),
    portion=st.sampled_from([1, 3, 1000]),
)
def test_durations_are_what_counting_every_second_says(
    changes: list[tuple[int, str]], since_s: int, length_s: int, window_s: int, portion: int
) -> None:
    at = dict(sorted(changes))
    store = Counting()
    store.points = store_of(*((second, state, None) for second, state in at.items())).points
    until_s = since_s + length_s

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_PORTION", portion)
        found = rows(store, "duration", since_s=since_s, until_s=until_s, window_s=window_s)

    second_by_second: list[str | None] = [
        next((at[then] for then in sorted(at, reverse=True) if then <= second), None)
        for second in range(since_s, until_s)
    ]
    for state in ("on", "off", "dim"):
        assert sum(row["duration_s"].get(state, 0.0) for row in found) == second_by_second.count(state)
    assert all(sum(row["duration_s"].values()) <= window_s for row in found)
    assert store.most <= max(portion, window_s)
