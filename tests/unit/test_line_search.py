"""The search for lines that a store refuses: all of them, them alone, in few requests, in its time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ingestor import errors
from ingestor.events.point import FieldValue, Point
from ingestor.storage.influx_errors import Answer
from ingestor.storage.line_protocol import Encoder
from ingestor.storage.line_search import Line, LineSearch

_encoder = Encoder()


def encode(point: Point) -> bytes:
    return _encoder.line(point).encode()


def line(number: int, **fields: FieldValue) -> Line:
    point = Point("m", (("series", f"s{number}"),), fields or {"value": float(number)}, number, number)
    return Line(point, number, encode(point))


class Influx16:
    """Answers as 1.6 does: the good lines are stored, one fault of all is named; fields keep their first type."""

    def __init__(self, types: dict[str, str] | None = None, oldest: int = 0) -> None:
        self.types = types or {"value": "float"}
        self.oldest = oldest
        self.requests = 0
        self.stored: set[bytes] = set()

    def __call__(self, body: bytes) -> Answer:
        self.requests += 1
        said = ""
        for text in body.split(b"\n"):
            fault = self._fault(text.decode())
            if fault:
                said = fault
            else:
                self.stored.add(text)
        return Answer(stored=False, doubt=said) if said else Answer(stored=True)

    def _fault(self, text: str) -> str:
        _, fields, moment = text.split(" ")
        if int(moment) < self.oldest:
            return "partial write: points beyond retention policy dropped=1"
        for pair in fields.split(","):
            name, value = pair.split("=")
            kind = "string" if value.startswith('"') else "integer" if value.endswith("i") else "float"
            if self.types.get(name, kind) != kind:
                return (
                    f'partial write: field type conflict: input field "{name}" on measurement "m" is type {kind},'
                    f" already exists as type {self.types[name]} dropped=1"
                )
        return ""


def test_one_line_of_500_with_another_type_is_found_in_three_requests() -> None:
    influx = Influx16()
    lines = [line(n, value="warm") if n == 77 else line(n) for n in range(500)]

    found = LineSearch(influx, encode).write(lines)

    assert [bad.index for bad, _ in found.refused] == [77]
    assert len(influx.stored) == 499
    assert influx.requests == 3


def test_lines_before_the_retention_are_found_in_few_requests_and_no_other_is_blamed() -> None:
    influx = Influx16(oldest=40)
    lines = [line((n * 37) % 500) for n in range(500)]

    found = LineSearch(influx, encode).write(lines)

    assert sorted(bad.index for bad, _ in found.refused) == list(range(40))
    assert influx.requests < 110  # each of the 40 is confirmed alone


def test_with_siblings_a_conflict_moves_to_the_field_beside_and_the_rest_of_the_point_stays() -> None:
    influx = Influx16()

    found = LineSearch(influx, encode, siblings=True).write([line(1), line(2, value="warm", unit="x"), line(3)])

    assert (found.refused, found.repaired) == ([], 1)
    assert b'm,series=s2 value_text="warm",unit="x" 2' in influx.stored


def test_two_fields_of_another_type_are_both_moved() -> None:
    influx = Influx16({"value": "float", "count": "string"})

    found = LineSearch(influx, encode, siblings=True).write([line(2, value="warm", count=3)])

    assert (found.refused, found.repaired) == ([], 1)
    assert influx.stored == {b'm,series=s2 value_text="warm",count_integer=3i 2'}


def test_where_the_sibling_too_has_another_type_the_line_is_refused() -> None:
    influx = Influx16({"value": "float", "value_text": "float"})

    found = LineSearch(influx, encode, siblings=True).write([line(2, value="warm"), line(3)])

    assert [bad.index for bad, _ in found.refused] == [2]
    assert found.repaired == 0


def test_written_again_a_repaired_point_is_the_same_line() -> None:
    influx = Influx16()
    for _ in range(2):
        LineSearch(influx, encode, siblings=True).write([line(2, value="warm")])

    assert len(influx.stored) == 1


def test_a_search_that_takes_too_long_ends_and_goes_on_where_it_was() -> None:
    now = [0.0]

    def slow(inner: Callable[[bytes], Answer]) -> Callable[[bytes], Answer]:
        def ask(body: bytes) -> Answer:
            now[0] += 1.0
            return inner(body)

        return ask

    influx = Influx16(oldest=40)
    search = LineSearch(slow(influx), encode, clock=lambda: now[0])
    lines = [line(n) for n in range(60)]
    rounds = 0

    while True:
        rounds += 1
        try:
            found = search.write(lines)
        except errors.StoreUnavailable:
            assert rounds < 30
        else:
            break

    assert sorted(bad.index for bad, _ in found.refused) == list(range(40))
    assert rounds > 1


def test_what_the_store_raises_is_raised() -> None:
    def away(_: bytes) -> Answer:
        raise errors.StoreUnavailable

    with pytest.raises(errors.StoreUnavailable):
        LineSearch(away, encode).write([line(1)])
