"""Line protocol, encoded fast: series and field keys are cached, each line is built in one pass; knows no store.

https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/ is where the rules come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ingestor.events.point import Point, Tags

#: Keys kept; a home has some thousand series, and a full cache is simply begun anew.
_MAX_CACHED: Final = 100_000
#: No line break may stand outside a string field: it would end the line.
_MEASUREMENT: Final = str.maketrans({",": "\\,", " ": "\\ ", "\n": "\\ ", "\r": "\\ "})
_KEY: Final = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": "\\ ", "\r": "\\ "})
_INFINITE: Final = frozenset({"inf", "-inf", "nan"})


class _Keys(dict[str, str]):
    """Field keys, escaped and with their `=`; made at the first use. A key without a name is "" (no line has one)."""

    def __missing__(self, name: str) -> str:
        if len(self) >= _MAX_CACHED:
            self.clear()
        key = self[name] = f"{_escape(name, _KEY)}=" if name else ""
        return key


class Encoder:
    """Encodes points; keeps the series keys that it has built. For one thread."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, Tags], str] = {}
        self._keys = _Keys()

    def encode(self, points: Sequence[Point]) -> bytes:
        """Return points as lines with times in nanoseconds; a point that no line can hold gives none."""
        lines = [line for point in points if (line := self.line(point))]
        return "\n".join(lines).encode("utf-8", "replace")

    def line(self, point: Point) -> str:
        """Return one line without its end; "" where no field is left, or no line can hold the measurement."""
        series = self._series.get((point.measurement, point.tags))
        if series is None:
            series = self._make_series(point)
        keys = self._keys
        parts: list[str] = []
        add = parts.append
        for name, value in point.fields.items():
            kind = type(value)
            if not (key := keys[name]):
                continue
            if kind is str:
                if "\\" in value or '"' in value:  # type: ignore[operator]  # `kind` says that it is text
                    value = _quoted(str(value))  # noqa: PLW2901 -- one name is faster than two
                add(f'{key}"{value}"')
            elif kind is float:
                text = repr(value)
                if text not in _INFINITE:
                    add(key + text)
            elif kind is bool:
                add(key + ("true" if value else "false"))
            elif kind is int:
                add(f"{key}{value}i")
            else:
                # A subclass, such as a string enumeration: what it is says its base.
                add(f'{key}"{_quoted(str(value))}"' if isinstance(value, str) else f"{key}{float(value)!r}")
        return f"{series} {','.join(parts)} {point.time_ns}" if parts and series else ""

    def _make_series(self, point: Point) -> str:
        if len(self._series) >= _MAX_CACHED:
            self._series.clear()
        tags = "".join(f",{_escape(name, _KEY)}={_escape(value, _KEY)}" for name, value in sorted(point.tags) if value)
        # A line that begins with # is a comment: the server would say yes, and keep nothing.
        comment = not point.measurement or point.measurement.startswith("#")
        series = "" if comment else _escape(point.measurement, _MEASUREMENT) + tags
        self._series[point.measurement, point.tags] = series
        return series


def _escape(text: str, table: dict[int, str]) -> str:
    # A backslash at the end would escape what follows it, and there is no way to write one there.
    if text.endswith("\\"):
        text += "_"
    return text.translate(table)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
