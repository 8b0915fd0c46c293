"""What was sent against what is stored, every field of every event; counts what is lost, double, wrong or invented."""

from __future__ import annotations

import csv
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import requests

from tests.chaos import expected as book
from tests.chaos.expected import Expected, Key, Row

MEASUREMENTS = ("home_assistant_events", "home_assistant_other_events")
_BAD = re.compile(rb"bad-(\d+)-")
_SHOWN = 20


@dataclass(slots=True)
class Findings:
    """The verdict. Lists hold the first examples, counters the numbers."""

    sent: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    stored_rows: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    known_loss: Counter[str] = field(default_factory=Counter)
    #: Events that came by both roads and are stored under the name of the poorer one.
    poorer: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    wrong: int = 0
    invented: int = 0
    bad_sent: int = 0
    bad_found: int = 0
    bad_known_loss: int = 0
    quarantined: int = 0
    quarantined_twice: int = 0
    good_quarantined: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def total_lost(self) -> int:
        """Events that should be there and are not, bad ones too."""
        return sum(self.lost.values()) + self.bad_lost

    @property
    def bad_lost(self) -> int:
        """Bad events that are in no quarantine."""
        return self.bad_sent - self.bad_found - self.bad_known_loss

    @property
    def good(self) -> bool:
        """Whether nothing is lost, double, wrong, invented or quarantined for nothing."""
        return not (self.total_lost or self.duplicates or self.wrong or self.invented or self.good_quarantined)

    def show(self, what: str) -> None:
        """Keep an example, some of each kind."""
        kind = what.partition(":")[0]
        if sum(example.startswith(kind) for example in self.examples) < _SHOWN:
            self.examples.append(what)


def compare(expected: Expected, influx_url: str, database: str, quarantine: Path) -> Findings:
    """Compare everything."""
    found = Findings(sent=expected.sent, bad_sent=len(expected.bad))
    seen: dict[Key, str] = {}
    for measurement in MEASUREMENTS:
        for row in stored_rows(influx_url, database, measurement):
            _take(found, seen, expected, row)
    _look_for_lost(found, seen, expected)
    _look_into_quarantine(found, expected, quarantine)
    return found


def _take(found: Findings, seen: dict[Key, str], expected: Expected, row: Row) -> None:
    found.stored_rows += 1
    key = book.key_of_row(row)
    raw = expected.lines.get(key)
    if raw is None:
        found.invented += 1
        found.show(f"invented: {row}")
        return
    line = orjson.loads(raw)
    if key in seen:
        found.duplicates += 1
        found.show(f"duplicate: {key} at {seen[key]} and {row['time']}: {row}")
        return
    seen[key] = row["time"]
    found.stored[book.roads_of(line)] += 1
    found.sources[row.get("source", "-")] += 1
    by_websocket = "websocket" in line.get("roads", ()) and not expected.is_deaf(line["t"])
    if by_websocket and row.get("source") != "websocket":
        found.poorer[row.get("source", "-")] += 1
        found.show(f"poorer: {key}: {row}")
    if wrong := book.faults(line, row, expected):
        found.wrong += 1
        found.show(f"wrong: {key}: {'; '.join(wrong)}")


def _look_for_lost(found: Findings, seen: dict[Key, str], expected: Expected) -> None:
    for key, raw in expected.lines.items():
        if key in seen or (key[0] == "untimed" and int(key[2]) in expected.unsure):
            continue
        line = orjson.loads(raw)
        if line["k"] == "other" and expected.is_deaf(line["t"]):
            found.known_loss[line["type"]] += 1
            continue
        found.lost[book.roads_of(line)] += 1
        found.show(f"lost: {line}")


def _look_into_quarantine(found: Findings, expected: Expected, path: Path) -> None:
    numbers: Counter[int] = Counter()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        for raw, reason, detail in connection.execute("SELECT raw, reason, detail FROM quarantine"):
            found.quarantined += 1
            if match := _BAD.search(raw):
                numbers[int(match[1])] += 1
            else:
                found.good_quarantined += 1
                found.show(f"quarantined: {reason}: {detail[:200]}: {raw[:300]!r}")
    found.bad_found = len(numbers)
    found.quarantined_twice = sum(count - 1 for count in numbers.values())
    for number, line in expected.bad.items():
        if number in numbers:
            continue
        if line["road"] == "websocket" and expected.is_deaf(line["t"]):
            found.bad_known_loss += 1
        else:
            found.show(f"bad lost: {line}")


def stored_rows(url: str, database: str, measurement: str) -> Iterator[Row]:
    """Yield every row of a measurement; a field that it has not is not in the row."""
    asked = {"db": database, "epoch": "ns", "chunked": "true", "q": f'SELECT * FROM "{measurement}"'}
    headers = {"Accept": "application/csv"}
    with requests.get(f"{url}/query", params=asked, headers=headers, stream=True, timeout=300) as answer:
        answer.raise_for_status()
        answer.encoding = "utf-8"
        names: list[str] = []
        for values in csv.reader(line for line in answer.iter_lines(65_536, decode_unicode=True) if line):
            if values[0] == "name":
                names = values
            else:
                yield {name: value for name, value in zip(names, values, strict=True) if value}
