"""Asks a real InfluxDB over HTTP what it holds; knows nothing of the product, nor of Home Assistant."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import requests

Tags = frozenset[tuple[str, str]]
#: A point's identity: measurement, tags, Unix time in nanoseconds.
Key = tuple[str, Tags, int]
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Database:
    """A database of an InfluxDB 1.x."""

    url: str
    name: str

    def series(self, statement: str) -> list[dict[str, Any]]:
        """Return the series of one statement's answer, times as Unix nanoseconds."""
        asked = {"db": self.name, "q": statement, "epoch": "ns"}
        answer = requests.post(f"{self.url}/query", data=asked, timeout=60)
        answer.raise_for_status()
        (result,) = answer.json()["results"]
        assert "error" not in result, result
        found: list[dict[str, Any]] = result.get("series", [])
        return found

    def measurements(self) -> set[str]:
        """Return the names of all measurements."""
        return {str(row[0]) for series in self.series("SHOW MEASUREMENTS") for row in series["values"]}

    def points(self, measurement: str, since_ns: int = 0, until_ns: int = 2**62) -> dict[Key, Fields]:
        """Return a measurement's points between two times, both included."""
        name = measurement.replace("\\", "\\\\").replace('"', '\\"')
        found: dict[Key, Fields] = {}
        asked = f'SELECT * FROM "{name}" WHERE time >= {since_ns} AND time <= {until_ns} GROUP BY *'
        for series in self.series(asked):
            tags = frozenset((tag, value) for tag, value in series["tags"].items() if value)
            for row in series["values"]:
                columns = dict(zip(series["columns"], row, strict=True))
                time_ns = int(columns.pop("time"))
                key = (series["name"], tags, time_ns)
                found[key] = {column: value for column, value in columns.items() if value is not None}
        return found

    def field_types(self, measurement: str) -> dict[str, set[str]]:
        """Return the types that each field of a measurement was ever written as."""
        name = measurement.replace("\\", "\\\\").replace('"', '\\"')
        types: dict[str, set[str]] = defaultdict(set)
        for series in self.series(f'SHOW FIELD KEYS FROM "{name}"'):
            for field, kind in series["values"]:
                types[field].add(kind)
        return types
